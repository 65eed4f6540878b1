"""The list of items, live; and the form that adds one."""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from webapp.addresses import address, path_of, redirect
from webapp.errors import wants_fragment
from webapp.live.hub import Hub
from webapp.live.pieces import Pieces
from webapp.postgres.pool import Pool
from webapp.postgres.statements import read
from webapp.rendering import static_url
from webapp.responses import READ, PiecesOfApp, PoolOfApp, html, joined, view_before
from webapp.socket import HubOfApp
from webapp.stock import inventory
from webapp.stock.forms import PAGE, ItemForm, read_fields
from webapp.stock.items import CodeTaken, NameTaken, Refused
from webapp.stock.views import View

router = APIRouter(default_response_class=HTMLResponse)


@router.api_route("/", methods=READ)
async def index(request: Request, pool: PoolOfApp, pieces: PiecesOfApp, hub: HubOfApp) -> Response:
    """Show a view: the whole page, or for htmx only what depends on the query string."""
    view, complaints = View.parse(request.query_params)
    if wants_fragment(request):
        values = await _view_values(view, complaints, hub, certain=await hub.catch_up())
        response = html(pieces, "items/_view.html", **values)
        if view.url != f"{path_of(request.scope)}?{request.url.query}".removesuffix("?"):
            response.headers["HX-Push-Url"] = address(request, view.url)  # a form sends its empty fields too
        return response
    return await _page(view, complaints, ItemForm(), 200, pool=pool, pieces=pieces, hub=hub)


@router.post("/items")
async def create_item(request: Request, pool: PoolOfApp, pieces: PiecesOfApp, hub: HubOfApp) -> Response:
    """Add an item; errors stand beside their fields, and what was typed stays."""
    form = ItemForm.read(await read_fields(request))
    if form.item is not None:
        try:
            await inventory.add_item(pool, form.item, PAGE)
        except (NameTaken, CodeTaken, Refused) as error:
            form.refuse(error)
    status = 422 if form.errors else 201
    if wants_fragment(request):
        shown = form if form.errors else ItemForm(saved=form.values["name"])
        return html(pieces, "items/_form.html", form=shown, status=status)
    if form.errors:
        return await _page(view_before(request), [], form, status, pool=pool, pieces=pieces, hub=hub)
    return redirect(request, view_before(request).url)


@router.api_route("/items", methods=READ)
async def items(request: Request) -> Response:
    """Lead home whoever reloads a form that was refused by its address."""
    return redirect(request, "/")


@router.api_route("/locations", methods=READ)
async def locations(request: Request, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Show the places that the filter offers now."""
    view, _ = View.parse(request.query_params)
    return html(pieces, "items/_locations.html", locations=await _locations(pool), chosen=view.location)


@router.api_route("/favicon.ico", methods=READ)
async def favicon(request: Request) -> Response:
    """Answer those who ask for an icon without having read the page."""
    return redirect(request, static_url("favicon.svg"), 302)


async def _page(  # noqa: PLR0913
    view: View, complaints: list[str], form: ItemForm, status: int, *, pool: Pool, pieces: Pieces, hub: Hub
) -> Response:
    certain = await hub.catch_up()
    values, overview, places = await asyncio.gather(
        _view_values(view, complaints, hub, certain=certain),
        hub.summary_source.read(certain=certain),
        _locations(pool),
    )
    summary = hub.summary_source.render(overview)
    values |= {
        "form": form,
        "totals": overview.totals,
        "activity_html": joined(summary.lists["activity"]),
        "notices_html": joined(summary.lists["notices"]),
        "summary_revision": summary.revision,
        "locations": places,
    }
    return html(pieces, "items/index.html", status=status, **values)


async def _locations(pool: Pool) -> list[str]:
    return [row["location"] for row in await read(pool, "locations")]


async def _view_values(view: View, complaints: list[str], hub: Hub, *, certain: bool) -> dict[str, Any]:
    listing, shown = await hub.look(view, certain=certain)
    return {
        "view": view,
        "complaints": complaints,
        "items_html": joined(shown.lists["rows"]),
        "revision": shown.revision,
        **listing.values(view),
    }
