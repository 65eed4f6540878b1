"""What can be done with an item: take, put, edit, delete, and undo."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from webapp.errors import wants_fragment
from webapp.live.pieces import Pieces
from webapp.responses import READ, PiecesOfApp, PoolOfApp, done, html
from webapp.stock import inventory
from webapp.stock.forms import PAGE, EditForm, author_of, count_in, read_fields
from webapp.stock.items import CodeTaken, EditConflict, Item, NameTaken, Refused
from webapp.stock.undo import undo_change

router = APIRouter(default_response_class=HTMLResponse)


@router.post("/items/{item_id:item}/take")
async def take(request: Request, item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Take some out of stock."""
    fields = await read_fields(request)
    return done(request, pieces, await inventory.take(pool, item_id, count_in(fields), author_of(fields)))


@router.post("/items/{item_id:item}/put")
async def put(request: Request, item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Put some into stock."""
    fields = await read_fields(request)
    return done(request, pieces, await inventory.put(pool, item_id, count_in(fields), author_of(fields)))


@router.api_route("/items/{item_id:item}/edit", methods=READ)
async def show_editor(request: Request, item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Show the forms that change an item: for the dialog, or as a page."""
    item = await inventory.find_item(pool, item_id)
    return _editor(request, pieces, item, EditForm.of_item(item))


@router.api_route("/items/{item_id:item}/edit-button", methods=READ)
async def edit_button(item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Show the button that opens the dialog, after it has taken the focus."""
    return html(pieces, "items/_edit_button.html", item=await inventory.find_item(pool, item_id))


@router.post("/items/{item_id:item}/edit")
async def edit(request: Request, item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Save an item's fields; what others changed meanwhile is merged, or shown beside what was typed."""
    fields = await read_fields(request)
    form, author = EditForm.read(fields), author_of(fields)
    if form.item is not None:
        try:
            item = await inventory.edit_item(pool, item_id, form.edits, author, form.seen)
            return done(request, pieces, item)
        except EditConflict as conflict:
            form.meet(conflict)
            return _editor(request, pieces, conflict.theirs, form, 409)
        except (NameTaken, CodeTaken, Refused) as error:
            form.refuse(error)
    return _editor(request, pieces, await inventory.find_item(pool, item_id), form, 422)


@router.api_route("/items/{item_id:item}/delete", methods=READ)
async def confirm_delete(item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Ask before deleting, where no script can ask."""
    return html(pieces, "items/delete.html", item=await inventory.find_item(pool, item_id))


@router.post("/items/{item_id:item}/delete")
async def delete(request: Request, item_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Delete an item."""
    item = await inventory.delete_item(pool, item_id, author_of(await read_fields(request)))
    return done(request, pieces, item, gone=True)


@router.post("/changes/{change_id:item}/undo")
async def undo(request: Request, change_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Take a change back."""
    await undo_change(pool, change_id, PAGE)
    return done(request, pieces)


def _editor(request: Request, pieces: Pieces, item: Item, form: EditForm, status: int = 200) -> Response:
    template = "items/_editor.html" if wants_fragment(request) else "items/edit.html"
    return html(pieces, template, status=status, item=item, form=form)
