"""The operations on stock; page, API and import all use these. The database's constraints decide.

Each is a transaction of its own on a connection of the pool, or part of the one that is open on a given connection.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from webapp.postgres.database import Connection, Source, use_connection
from webapp.postgres.queries import QUERIES
from webapp.roles import PRINCIPAL
from webapp.stock.items import (
    FIELDS,
    MAX_ID,
    Author,
    Busy,
    CodeTaken,
    EditConflict,
    Item,
    NameTaken,
    NewItem,
    NoSuchItem,
    NotEnough,
    Refused,
    StockError,
    TooMuch,
)
from webapp.text import as_typed

Row = Mapping[str, Any]
MISSING = object()


async def add_item(pool: Source, item: NewItem, author: Author) -> Item:
    """Add an item; return it. Raises `NameTaken`, `CodeTaken`, `Busy` or `Refused`."""
    values = {field: getattr(item, field) for field in FIELDS}
    async with writing(pool, author, values) as connection:
        return Item.from_row(await _one(connection, "add_item", values))


async def take(pool: Source, item_id: int, count: int, author: Author) -> Item:
    """Take `count` out of stock, atomically; return the item. Raises `NoSuchItem`, `NotEnough` or `Busy`."""
    return await _change_quantity(pool, item_id, -count, author)


async def put(pool: Source, item_id: int, count: int, author: Author) -> Item:
    """Put `count` into stock, atomically; return the item. Raises `NoSuchItem`, `TooMuch` or `Busy`."""
    return await _change_quantity(pool, item_id, count, author)


async def edit_item(pool: Source, item_id: int, edits: Row, author: Author, base_version: int | None = None) -> Item:
    """Set fields to values that were decided by looking at `base_version`, None: whatever is there; return the item.

    What others changed since stays, unless both changed the same field: then `EditConflict` is raised.
    Raises `NoSuchItem`, `NameTaken`, `CodeTaken`, `Busy` or `Refused` as well.
    """
    async with writing(pool, author, edits) as connection:
        theirs = await lock_item(connection, item_id)
        if base_version is not None:
            edits = await _merge(connection, theirs, edits, base_version)
        values = {field: edits.get(field, getattr(theirs, field)) for field in FIELDS}
        return Item.from_row(await _one(connection, "edit_item", {"id": item_id, **values}))


async def delete_item(pool: Source, item_id: int, author: Author) -> Item:
    """Delete an item; return what it was. Raises `NoSuchItem` or `Busy`."""
    async with writing(pool, author) as connection:
        item = await lock_item(connection, item_id)
        await connection.execute(QUERIES["delete_item"], {"id": item_id})
        return item


async def find_item(pool: Source, item_id: int) -> Item:
    """Return the item. Raises `NoSuchItem`."""
    async with use_connection(pool) as connection:
        return await _item(connection, "item_by_id", item_id)


async def lock_item(connection: Connection, item_id: int) -> Item:
    """Return the item, which nobody else changes until the transaction ends. Raises `NoSuchItem`."""
    return await _item(connection, "item_by_id_locked", item_id)


@asynccontextmanager
async def writing(pool: Source, author: Author, values: Row | None = None) -> AsyncIterator[Connection]:
    """Open a transaction that says who it is; what the database refuses is raised as a `StockError`.

    `values` are those that a constraint may be about.
    """
    claim = {name: "" if value is None else str(value) for name, value in _claim(author).items()}
    try:
        async with use_connection(pool) as connection, connection.transaction():
            await connection.execute(QUERIES["claim"], claim)
            yield connection
    except psycopg.errors.LockNotAvailable as error:
        raise Busy from error
    except psycopg.errors.IntegrityError as error:
        raise _refusal(error.diag.constraint_name or "a constraint", values or {}) from error


def _claim(author: Author) -> dict[str, object]:
    actor = author.actor or PRINCIPAL.get().name
    return {"actor": actor, "source": author.source, "reason": author.reason, "undoes": author.undoes}


def _refusal(constraint: str, values: Row) -> StockError:
    if constraint == "inventory_name_unique" and "name" in values:
        return NameTaken(values["name"])
    if constraint == "inventory_code_unique" and "code" in values:
        return CodeTaken(values["code"])
    return Refused(constraint)


async def _change_quantity(pool: Source, item_id: int, by: int, author: Author) -> Item:
    if not 0 < item_id <= MAX_ID:
        raise NoSuchItem(item_id)
    try:
        async with writing(pool, author) as connection:
            row = await _one(connection, "change_quantity", {"id": item_id, "by": by})
    except Refused as error:
        if error.constraint != "inventory_quantity_not_negative":
            raise
        item = await find_item(pool, item_id)
        raise NotEnough(item.name, -by, item.quantity) from error
    except psycopg.errors.NumericValueOutOfRange as error:
        item = await find_item(pool, item_id)
        raise TooMuch(item.name) from error
    if row is None:
        raise NoSuchItem(item_id)
    return Item.from_row(row)


async def _merge(connection: Connection, theirs: Item, mine: Row, base_version: int) -> Row:
    """Return what is really edited: the values that differ from those at `base_version`."""
    now = {field: getattr(theirs, field) for field in FIELDS}
    seen = now if base_version == theirs.version else await _values_at(connection, theirs.id, base_version)
    edits = {field: value for field, value in mine.items() if value != as_typed(seen.get(field, MISSING))}
    both = tuple(f for f in edits if now[f] != edits[f] and now[f] != seen.get(f, MISSING))
    if both:
        last = await _one(connection, "last_change_of_item", {"id": theirs.id}) or {"who": "", "how": ""}
        raise EditConflict(theirs, edits, both, last["who"], last["how"], theirs.updated_at)
    return edits


async def _values_at(connection: Connection, item_id: int, version: int) -> Row:
    """Return what the log knows of a version of an item; nothing is known of one that never was."""
    return await _one(connection, "item_at_version", {"id": item_id, "version": version}) or {}


async def _item(connection: Connection, query: str, item_id: int) -> Item:
    row = await _one(connection, query, {"id": item_id}) if 0 < item_id <= MAX_ID else None
    if row is None:
        raise NoSuchItem(item_id)
    return Item.from_row(row)


async def _one(connection: Connection, query: str, values: Row) -> Any:
    return await (await connection.execute(QUERIES[query], values)).fetchone()
