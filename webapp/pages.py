"""The pages and forms: each route reads, acts, and answers with HTML."""

import asyncio
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup

from webapp import inventory
from webapp.database import fetch
from webapp.difference import Entry
from webapp.forms import ItemForm, whole_number
from webapp.hub import Hub
from webapp.inventory import Author, Pool
from webapp.queries import QUERIES
from webapp.rendering import Renderer, now_minutes
from webapp.socket import HubOfApp
from webapp.sources import ItemList, Pieces
from webapp.views import View

router = APIRouter(default_response_class=HTMLResponse)

PAGE = Author(source="page")


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


@router.get("/")
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
    form = ItemForm.read(await request.form())
    if form.item is not None:
        try:
            await inventory.add_item(pool, form.item, PAGE)
        except (inventory.NameTaken, inventory.Refused) as error:
            form.refuse(error)
    status = 422 if form.errors else 201
    if wants_fragment(request):
        shown = form if form.errors else ItemForm(saved=form.values["name"])
        return _html(pieces, "items/_form.html", form=shown, status=status)
    if form.errors:
        view, complaints = View.parse({})
        return await _page(view, complaints, form, status, pool=pool, pieces=pieces, hub=hub)
    return RedirectResponse("/", 303)


@router.post("/items/{item_id:int}/take")
async def take(request: Request, item_id: int, pool: PoolOfApp) -> Response:
    """Take some out of stock."""
    await inventory.take(pool, item_id, await _count(request), PAGE)
    return _done(request)


@router.post("/items/{item_id:int}/put")
async def put(request: Request, item_id: int, pool: PoolOfApp) -> Response:
    """Put some into stock."""
    await inventory.put(pool, item_id, await _count(request), PAGE)
    return _done(request)


@router.get("/items/{item_id:int}/delete")
async def confirm_delete(item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Ask before deleting, where no script can ask."""
    return _html(pieces, "items/delete.html", item=await inventory.find_item(pool, item_id))


@router.post("/items/{item_id:int}/delete")
async def delete(request: Request, item_id: int, pool: PoolOfApp) -> Response:
    """Delete an item."""
    await inventory.delete_item(pool, item_id, PAGE)
    return _done(request)


class BadCount(inventory.StockError):
    """What should say how many is not a whole number from 1 on."""

    def __str__(self) -> str:
        return f"How many? A whole number from 1 to {inventory.MAX_QUANTITY}."


def wants_fragment(request: Request) -> bool:
    """Whether htmx asks for a piece; going back in the history it asks for the whole page."""
    return request.headers.get("hx-request-type") == "partial"


def answer_error(request: Request, renderer: Renderer, status: int, title: str, text: str) -> Response:
    """Answer an error: a line for the page's message area, or a page of its own."""
    if wants_fragment(request):
        body = renderer.render("items/message.html", text=text)
    else:
        body = renderer.render("error.html", status=status, title=title, text=text)
    return HTMLResponse(body, status, {"Vary": "HX-Request-Type"})


async def _count(request: Request) -> int:
    typed = (await request.form()).get("by", "1")
    count = whole_number(typed.strip()) if isinstance(typed, str) else None
    if not count:
        raise BadCount
    return count


def _done(request: Request) -> Response:
    """Answer a change: the page hears of it by its socket; without scripts it goes back to where it was."""
    if wants_fragment(request):
        return Response(status_code=204)
    came_from = urlsplit(request.headers.get("referer", ""))
    same_site = came_from.netloc == request.headers.get("host")
    back, _ = View.parse(dict(parse_qsl(came_from.query)))
    return RedirectResponse(back.url if same_site else "/", 303)


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
