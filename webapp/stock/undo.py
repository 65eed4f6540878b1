"""Taking back a change by another one that has the opposite effect, and is in the history like any other."""

from dataclasses import replace

import psycopg

from webapp.postgres.pool import Connection, Pool
from webapp.postgres.statements import Row, execute, fetch_one
from webapp.stock.inventory import lock_item, writing, written
from webapp.stock.items import FIELDS, MAX_QUANTITY, Author, CannotUndo, Item, NoSuchItem

UNDO_HOURS = 24


async def undo_change(pool: Pool, change_id: int, author: Author) -> None:
    """Take a change back. Raises `CannotUndo`, `Busy` or `Refused`."""
    author = replace(author, undoes=change_id)
    async with writing(pool, author) as connection:
        change = await _lock_change(connection, change_id)
        match change["operation"]:
            case "insert":
                await _undo_insert(connection, change)
            case "update":
                await _undo_update(connection, change)
            case "delete":
                await _undo_delete(connection, change)
            case _:
                raise CannotUndo("The items that were removed all at once are not recorded one by one.")


async def _lock_change(connection: Connection, change_id: int) -> Row:
    """Return the change; of two who take back the same one, the second finds it taken back."""
    await execute(connection, "lock_change", id=change_id)
    change = await fetch_one(connection, "change_to_undo", id=change_id, hours=UNDO_HOURS)
    if change is None:
        raise CannotUndo("There is no such change, or it is no longer kept.")
    if change["is_undone"]:
        raise CannotUndo("This change has already been undone.")
    if change["is_cut_off"] and (change["operation"] != "delete" or change["is_ahead"]):
        raise CannotUndo("All items have been removed since.")
    if change["is_old"]:
        raise CannotUndo(f"Only changes of the last {UNDO_HOURS} hours can be undone.")
    return change


async def _undo_insert(connection: Connection, change: Row) -> None:
    item = await _item_of(connection, change)
    if item.version != change["version"]:
        raise CannotUndo(f"“{item.name}” was changed since it was added. Delete it instead.")
    written(await fetch_one(connection, "delete_item", id=item.id))


async def _undo_update(connection: Connection, change: Row) -> None:
    """Add the opposite difference to the quantity; set other fields back that nobody has changed since."""
    item = await _item_of(connection, change)
    values = {field: getattr(item, field) for field in FIELDS}
    for field in FIELDS:
        before, after = change[f"before_{field}"], change[f"after_{field}"]
        if field == "quantity":
            values[field] -= after - before
        elif before != after and values[field] != after:
            raise CannotUndo(f"The {field.replace('_', ' ')} of “{item.name}” was changed again since.")
        elif before != after:
            values[field] = before
    if all(change[f"before_{field}"] == change[f"after_{field}"] for field in FIELDS):
        raise CannotUndo(f"What was changed of “{item.name}” is in a column that the history does not keep.")
    if values["quantity"] < 0:
        raise CannotUndo(f"Only {item.quantity} of “{item.name}” are left: it would go below zero.")
    if values["quantity"] > MAX_QUANTITY:
        raise CannotUndo(f"“{item.name}” cannot hold more than {MAX_QUANTITY}.")
    try:
        written(await fetch_one(connection, "edit_item", id=item.id, **values))
    except psycopg.errors.UniqueViolation as error:
        raise CannotUndo(f"“{item.name}” cannot have its old name or code back: it is in use again.") from error


async def _undo_delete(connection: Connection, change: Row) -> None:
    """Bring the item back with its id and its history; its version goes on."""
    values = {field: change[f"before_{field}"] for field in FIELDS}
    if await fetch_one(connection, "restore_item", id=change["item_id"], **values) is None:
        raise CannotUndo(f"“{change['before_name']}” cannot come back: its name, code or number is in use again.")


async def _item_of(connection: Connection, change: Row) -> Item:
    try:
        return await lock_item(connection, change["item_id"])
    except NoSuchItem as error:
        raise CannotUndo("The item has been deleted since. Undo that first.") from error
