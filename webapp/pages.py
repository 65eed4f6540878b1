"""The pages and forms: each route reads, acts, and answers with HTML."""

import asyncio
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from starlette.convertors import Convertor, register_url_convertor

from webapp import inventory
from webapp.database import Pool, fetch
from webapp.difference import Entry
from webapp.errors import wants_fragment
from webapp.forms import ItemForm, count_in, read_fields
from webapp.hub import Hub
from webapp.items import Author, CodeTaken, NameTaken, Refused
from webapp.queries import QUERIES
from webapp.rendering import now_minutes, static_url
from webapp.security import is_same_origin
from webapp.socket import HubOfApp
from webapp.sources import ItemList, Pieces
from webapp.views import View

router = APIRouter(default_response_class=HTMLResponse)

PAGE = Author(source="page")
READ = ["GET", "HEAD"]


class ItemId(Convertor[int]):
    """An id in an address; longer digits name no item, and Python would refuse to read thousands of them."""

    regex = "[0-9]{1,19}"

    def convert(self, value: str) -> int:
        """Read an id."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Write an id."""
        return str(value)


register_url_convertor("item", ItemId())


def get_pool(request: Request) -> Pool:
    """Return the pool of this process."""
    pool: Pool = request.app.state.pool
    return pool


def get_pieces(request: Request) -> Pieces:
    """Return the fragments' renderer of this process."""
    pieces: Pieces = request.app.state.pieces
    return pieces


PoolOfApp = Annotated[Pool, Depends(get_pool)]
PiecesOfApp = Annotated[Pieces, Depends(get_pieces)]


@router.api_route("/", methods=READ)
async def index(request: Request, pool: PoolOfApp, pieces: PiecesOfApp, hub: HubOfApp) -> Response:
    """Show a view: the whole page, or for htmx only what depends on the query string."""
    view, complaints = View.parse(request.query_params)
    if wants_fragment(request):
        response = _html(pieces, "items/_view.html", **await _view_values(view, complaints, pool, pieces))
        if view.url != f"{request.url.path}?{request.url.query}".removesuffix("?"):
            response.headers["HX-Push-Url"] = view.url  # a form sends its empty fields too
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
        return _html(pieces, "items/_form.html", form=shown, status=status)
    if form.errors:
        return await _page(_view_before(request), [], form, status, pool=pool, pieces=pieces, hub=hub)
    return RedirectResponse(_view_before(request).url, 303)


@router.api_route("/items", methods=READ)
async def items() -> Response:
    """Lead home whoever reloads a form that was refused by its address."""
    return RedirectResponse("/", 303)


@router.api_route("/favicon.ico", methods=READ)
async def favicon() -> Response:
    """Answer those who ask for an icon without having read the page."""
    return RedirectResponse(static_url("favicon.svg"), 302)


@router.post("/items/{item_id:item}/take")
async def take(request: Request, item_id: int, pool: PoolOfApp) -> Response:
    """Take some out of stock."""
    await inventory.take(pool, item_id, count_in(await read_fields(request)), PAGE)
    return _done(request)


@router.post("/items/{item_id:item}/put")
async def put(request: Request, item_id: int, pool: PoolOfApp) -> Response:
    """Put some into stock."""
    await inventory.put(pool, item_id, count_in(await read_fields(request)), PAGE)
    return _done(request)


@router.api_route("/items/{item_id:item}/delete", methods=READ)
async def confirm_delete(item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Ask before deleting, where no script can ask."""
    return _html(pieces, "items/delete.html", item=await inventory.find_item(pool, item_id))


@router.post("/items/{item_id:item}/delete")
async def delete(request: Request, item_id: int, pool: PoolOfApp) -> Response:
    """Delete an item."""
    await inventory.delete_item(pool, item_id, PAGE)
    return _done(request)


def _done(request: Request) -> Response:
    """Answer a change: the page hears of it by its socket; without scripts it goes back to where it was."""
    if wants_fragment(request):
        return Response(status_code=204)
    return RedirectResponse(_view_before(request).url, 303)


def _view_before(request: Request) -> View:
    """Return the view that a form was sent from, as far as the browser says; never an address that others chose."""
    before, _, query = request.headers.get("referer", "").partition("?")
    origin = "/".join(before.split("/", 3)[:3])
    ours = is_same_origin(origin, request.headers["host"])
    return View.parse(dict(parse_qsl(query)) if ours else {})[0]


async def _page(  # noqa: PLR0913
    view: View, complaints: list[str], form: ItemForm, status: int, *, pool: Pool, pieces: Pieces, hub: Hub
) -> Response:
    values, overview, locations = await asyncio.gather(
        _view_values(view, complaints, pool, pieces),
        hub.summary_source.read(),
        fetch(pool, QUERIES["locations"]),
    )
    summary = hub.summary_source.render(overview)
    values |= {
        "form": form,
        "now_minutes": now_minutes(),
        "totals": overview.totals,
        "activity_html": _joined(summary.lists["activity"]),
        "notices_html": _joined(summary.lists["notices"]),
        "summary_revision": summary.revision,
        "locations": [row["location"] for row in locations],
    }
    return _html(pieces, "items/index.html", status=status, **values)


async def _view_values(view: View, complaints: list[str], pool: Pool, pieces: Pieces) -> dict[str, Any]:
    source = ItemList(view, pool, pieces)
    listing = await source.read()
    shown = source.render(listing)
    return {
        "view": view,
        "complaints": complaints,
        "items_html": _joined(shown.lists["rows"]),
        "revision": shown.revision,
        **listing.values(view),
    }


def _joined(entries: tuple[Entry, ...]) -> Markup:
    return Markup("").join(Markup(entry.html) for entry in entries)  # noqa: S704 - rendered by our templates


def _html(pieces: Pieces, template: str, *, status: int = 200, **values: Any) -> Response:
    # no-cache, not no-store: the back/forward cache may keep a page, its socket brings it up to date.
    headers = {"Vary": "HX-Request-Type", "Cache-Control": "no-cache"}
    return HTMLResponse(pieces.render(template, **values), status, headers)
