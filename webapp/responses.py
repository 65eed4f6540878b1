"""What the pages' routes share: the parts of this process, HTML answers, and the way back to where one was."""

import re
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.convertors import Convertor, register_url_convertor

from webapp.access.origins import is_same_origin
from webapp.addresses import address, redirect
from webapp.errors import wants_fragment
from webapp.live.difference import Entry
from webapp.live.pieces import Pieces
from webapp.postgres.pool import Pool
from webapp.stock.items import Item
from webapp.stock.views import View

READ = ["GET", "HEAD"]
_PLACES = re.compile("(/items/[0-9]{1,19})/edit|(/items/[0-9]{1,19}|/activity)")


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


def html(pieces: Pieces, template: str, *, status: int = 200, **values: Any) -> Response:
    """Answer with a rendered page or piece."""
    # no-cache, not no-store: the back/forward cache may keep a page, its socket brings it up to date.
    headers = {"Vary": "HX-Request-Type", "Cache-Control": "no-cache"}
    return HTMLResponse(pieces.render(template, **values), status, headers)


def private_html(pieces: Pieces, template: str, *, status: int = 200, **values: Any) -> Response:
    """Answer with a page that no cache may keep: it shows secrets, or asks for them."""
    response = html(pieces, template, status=status, **values)
    response.headers["Cache-Control"] = "no-store"
    return response


def joined(entries: tuple[Entry, ...]) -> Markup:
    """Return the HTML of a list's entries."""
    return Markup("").join(Markup(entry.html) for entry in entries)  # noqa: S704 - rendered by our templates


def done(request: Request, pieces: Pieces, item: Item | None = None, *, gone: bool = False) -> Response:
    """Answer a change: the page hears of it by its socket; without scripts it goes back to where it was.

    A change that was made in the dialog closes it, and gives the focus back to the item's button; one that was made
    on the dialog's own page leads back to the item.
    """
    if not wants_fragment(request):
        return redirect(request, path_before(request))
    target = request.headers.get("hx-target")
    if target == "dialog#editor" and item:
        response = html(pieces, "items/_saved.html", item=item, gone=gone)
        response.headers["HX-Reswap"] = "none"
        return response
    if target == "div#editor":
        return Response(status_code=204, headers={"HX-Redirect": address(request, path_before(request))})
    return Response(status_code=204)


def path_before(request: Request) -> str:
    """Return path and query of the page that a form was sent from, if that is one to go back to."""
    path, query = _before(request)
    if place := _PLACES.fullmatch(path):
        return place[1] or (f"{path}?{query}" if query else path)
    return view_before(request).url


def view_before(request: Request) -> View:
    """Return the view that a form was sent from, as far as the browser says."""
    return View.parse(dict(parse_qsl(_before(request)[1])))[0]


def _before(request: Request) -> tuple[str, str]:
    """Return path and query of the page before, as far as the browser says; never an address that others chose."""
    before, _, query = request.headers.get("referer", "").partition("?")
    origin, path = "/".join(before.split("/", 3)[:3]), "/" + "".join(before.split("/", 3)[3:])
    is_ours = is_same_origin(origin, request.headers["host"])
    return (path.removeprefix(request.scope.get("root_path", "")), query) if is_ours else ("/", "")
