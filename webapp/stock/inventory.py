"""The operations on an item; pages and API use these. The database's constraints decide.

Each is a transaction of its own on a connection of the pool, or part of the one that is open on a given connection.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from webapp.postgres.pool import Connection, Source
from webapp.postgres.statements import Row, execute, fetch_one, writing_transaction
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
    Seen,
    StockError,
    TooMuch,
)
from webapp.text import as_typed

Values = Mapping[str, Any]
MISSING = object()
YIELDED = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


async def add_item(source: Source, item: NewItem, author: Author) -> Item:
    """Add an item; return it. Raises `NameTaken`, `CodeTaken`, `Busy` or `Refused`."""
    values = {field: getattr(item, field) for field in FIELDS}
    async with writing(source, author, values) as connection:
        return written(await fetch_one(connection, "add_item", **values))


async def take(source: Source, item_id: int, count: int, author: Author) -> Item:
    """Take `count` out of stock, atomically; return the item. Raises `NoSuchItem`, `NotEnough` or `Busy`."""
    return await _change_quantity(source, item_id, -count, author)


async def put(source: Source, item_id: int, count: int, author: Author) -> Item:
    """Put `count` into stock, atomically; return the item. Raises `NoSuchItem`, `TooMuch` or `Busy`."""
    return await _change_quantity(source, item_id, count, author)


async def edit_item(source: Source, item_id: int, edits: Values, author: Author, seen: Seen | None = None) -> Item:
    """Set fields to values that were decided by looking at what was `seen`, None: whatever is there; return the item.

    What others changed since stays, unless both changed the same field: then `EditConflict` is raised.
    Raises `NoSuchItem`, `NameTaken`, `CodeTaken`, `Busy` or `Refused` as well.
    """
    async with writing(source, author, edits) as connection:
        theirs = await lock_item(connection, item_id)
        if seen is not None:
            edits = await _merge(connection, theirs, edits, seen)
        values = {field: edits.get(field, getattr(theirs, field)) for field in FIELDS}
        return written(await fetch_one(connection, "edit_item", id=item_id, **values))


async def delete_item(source: Source, item_id: int, author: Author) -> Item:
    """Delete an item; return what it was. Raises `NoSuchItem`, `Busy` or `Refused`."""
    async with writing(source, author) as connection:
        await lock_item(connection, item_id)
        return written(await fetch_one(connection, "delete_item", id=item_id))


async def find_item(source: Source, item_id: int) -> Item:
    """Return the item. Raises `NoSuchItem`."""
    return await _item(source, "item_by_id", item_id)


async def lock_item(connection: Connection, item_id: int) -> Item:
    """Return the item, which nobody else changes until the transaction ends. Raises `NoSuchItem`."""
    return await _item(connection, "item_by_id_locked", item_id)


@asynccontextmanager
async def writing(source: Source, author: Author, values: Values | None = None) -> AsyncIterator[Connection]:
    """Open a transaction that says who it is; what the database refuses is raised as a `StockError`.

    `values` are those that a constraint may be about.
    """
    claim = {name: "" if value is None else str(value) for name, value in _claim(author).items()}
    try:
        async with writing_transaction(source) as connection:
            await execute(connection, "claim", **claim)
            yield connection
    except YIELDED as error:
        raise Busy from error
    except psycopg.DatabaseError as error:
        if not is_refusal(error):
            raise
        raise _refusal(error, values or {}) from error


def _claim(author: Author) -> dict[str, object]:
    actor = author.actor or PRINCIPAL.get().name
    return {"actor": actor, "source": author.source, "reason": author.reason, "undoes": author.undoes}


def _refusal(error: psycopg.Error, values: Values) -> StockError:
    constraint = error.diag.constraint_name
    if constraint == "inventory_name_unique" and "name" in values:
        return NameTaken(values["name"])
    if constraint == "inventory_code_unique" and "code" in values:
        return CodeTaken(values["code"])
    return refused(error)


def is_refusal(error: psycopg.Error) -> bool:
    """Whether a constraint refuses what was asked, or a function of the shop's by RAISE, with whatever code it likes.

    The name of the routine that reports it is the same in every language of a server's messages.
    """
    by_raise = error.diag.source_function == "exec_stmt_raise" and not isinstance(error, psycopg.OperationalError)
    return by_raise or isinstance(error, psycopg.IntegrityError)


def refused(error: psycopg.Error) -> Refused:
    """Return what the database refuses, in values."""
    constraint = error.diag.constraint_name or ""
    return Refused(constraint, "" if constraint else str(error.diag.message_primary))


def written(row: Row | None) -> Item:
    """Return the item that a statement has written; that a trigger kept it from that is no error to PostgreSQL."""
    if row is None:
        raise Refused("", "a trigger left it as it was")
    return Item.from_row(row)


async def _change_quantity(source: Source, item_id: int, by: int, author: Author) -> Item:
    if not 0 < item_id <= MAX_ID:
        raise NoSuchItem(item_id)
    try:
        async with writing(source, author) as connection:
            row = await fetch_one(connection, "change_quantity", id=item_id, by=by)
    except Refused as error:
        if error.constraint != "inventory_quantity_not_negative":
            raise
        item = await find_item(source, item_id)
        raise NotEnough(item.name, -by, item.quantity) from error
    except psycopg.errors.NumericValueOutOfRange as error:
        item = await find_item(source, item_id)
        raise TooMuch(item.name) from error
    if row is None:
        await find_item(source, item_id)
    return written(row)


async def _merge(connection: Connection, theirs: Item, mine: Values, seen: Seen) -> Values:
    """Return what is really edited: the values that differ from those that were seen."""
    now = {field: getattr(theirs, field) for field in FIELDS}
    is_now = seen.version == theirs.version and seen.at in (None, theirs.updated_at)
    then = now if is_now else await _values_then(connection, theirs.id, seen)
    edits = {field: value for field, value in mine.items() if value != as_typed(then.get(field, MISSING))}
    both = tuple(f for f in edits if now[f] != edits[f] and now[f] != then.get(f, MISSING))
    if both:
        last = await fetch_one(connection, "last_change_of_item", id=theirs.id) or {"who": "", "how": ""}
        raise EditConflict(theirs, edits, both, last["who"], last["how"], theirs.updated_at)
    return edits


async def _values_then(connection: Connection, item_id: int, seen: Seen) -> Values:
    """Return what the log knows of what was seen; nothing of a version that never was, or of another item."""
    return await fetch_one(connection, "item_at_version", id=item_id, version=seen.version, seen_at=seen.at) or {}


async def _item(source: Source, query: str, item_id: int) -> Item:
    row = await fetch_one(source, query, id=item_id) if 0 < item_id <= MAX_ID else None
    if row is None:
        raise NoSuchItem(item_id)
    return Item.from_row(row)
