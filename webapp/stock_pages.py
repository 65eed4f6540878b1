"""The pages and forms for working with an item: take, put, edit, delete, and undo."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from webapp import inventory
from webapp.forms import count_in, read_fields
from webapp.responses import PAGE, READ, PiecesOfApp, PoolOfApp, done, html

router = APIRouter(default_response_class=HTMLResponse)


@router.post("/items/{item_id:item}/take")
async def take(request: Request, item_id: int, pool: PoolOfApp) -> Response:
    """Take some out of stock."""
    await inventory.take(pool, item_id, count_in(await read_fields(request)), PAGE)
    return done(request)


@router.post("/items/{item_id:item}/put")
async def put(request: Request, item_id: int, pool: PoolOfApp) -> Response:
    """Put some into stock."""
    await inventory.put(pool, item_id, count_in(await read_fields(request)), PAGE)
    return done(request)


@router.api_route("/items/{item_id:item}/delete", methods=READ)
async def confirm_delete(item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Ask before deleting, where no script can ask."""
    return html(pieces, "items/delete.html", item=await inventory.find_item(pool, item_id))


@router.post("/items/{item_id:item}/delete")
async def delete(request: Request, item_id: int, pool: PoolOfApp) -> Response:
    """Delete an item."""
    await inventory.delete_item(pool, item_id, PAGE)
    return done(request)
