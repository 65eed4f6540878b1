"""The operations on stock; page, API and import all use these. The database's constraints decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import psycopg
from psycopg_pool import AsyncConnectionPool

from webapp.database import Connection, use_connection
from webapp.queries import QUERIES

MAX_QUANTITY = MAX_ID = 2**63 - 1
Pool = AsyncConnectionPool[Connection]


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the inventory."""

    id: int
    name: str
    quantity: int
    unit: str | None
    location: str | None
    reorder_level: int | None
    version: int
    updated_at: datetime

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row that has at least the item's columns."""
        return cls(*(row[field] for field in cls.__slots__))

    @property
    def is_low(self) -> bool:
        """Whether the stock has fallen to the reorder level."""
        return self.reorder_level is not None and self.quantity <= self.reorder_level


@dataclass(frozen=True, slots=True)
class NewItem:
    """What a person or program says of an item that is to be added."""

    name: str
    quantity: int
    unit: str | None = None
    location: str | None = None
    reorder_level: int | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes the stock, as far as known, and how ("page", "api", ...)."""

    source: str
    actor: str | None = None


class StockError(Exception):
    """An operation that the stock does not allow; `str()` of it is a sentence for people."""


@dataclass
class NoSuchItem(StockError):
    """The item was deleted meanwhile, or never was."""

    item_id: int

    def __str__(self) -> str:
        return "This item is not in the inventory any more."


@dataclass
class NameTaken(StockError):
    """Another item bears the name, regardless of case."""

    name: str

    def __str__(self) -> str:
        return f"There is already an item called “{self.name}”."


@dataclass
class NotEnough(StockError):
    """More was asked than there is."""

    name: str
    asked: int
    available: int

    def __str__(self) -> str:
        return f"Only {self.available} of “{self.name}” in stock: {self.asked} cannot be taken."


@dataclass
class TooMuch(StockError):
    """The quantity would pass what a bigint holds."""

    name: str

    def __str__(self) -> str:
        return f"“{self.name}” cannot hold more than {MAX_QUANTITY}."


@dataclass
class Busy(StockError):
    """Another transaction has changed the item and not ended yet."""

    def __str__(self) -> str:
        return "Somebody else is changing this item and has not finished. Nothing was changed; try again in a moment."


@dataclass
class Refused(StockError):
    """The database refused a value; `constraint` names the promise that it would break."""

    constraint: str

    def __str__(self) -> str:
        return f"The database refused this value ({self.constraint})."


async def add_item(pool: Pool, item: NewItem, author: Author) -> int:
    """Add an item; return its id. Raises `NameTaken`, `Busy` or `Refused`."""
    values = {field: getattr(item, field) for field in NewItem.__slots__}
    try:
        row = await _write(pool, "add_item", values, author)
    except Refused as error:
        if error.constraint == "inventory_name_unique":
            raise NameTaken(item.name) from error
        raise
    assert row is not None, "INSERT ... RETURNING gives a row"  # noqa: S101
    return int(row["id"])


async def take(pool: Pool, item_id: int, count: int, author: Author) -> int:
    """Take `count` out of stock, atomically; return what is left. Raises `NoSuchItem`, `NotEnough` or `Busy`."""
    return await _change_quantity(pool, item_id, -count, author)


async def put(pool: Pool, item_id: int, count: int, author: Author) -> int:
    """Put `count` into stock, atomically; return what is there then. Raises `NoSuchItem`, `TooMuch` or `Busy`."""
    return await _change_quantity(pool, item_id, count, author)


async def delete_item(pool: Pool, item_id: int, author: Author) -> str:
    """Delete an item; return its name. Raises `NoSuchItem` or `Busy`."""
    row = await _write(pool, "delete_item", {"id": item_id}, author)
    if row is None:
        raise NoSuchItem(item_id)
    return str(row["name"])


async def find_item(pool: Pool, item_id: int) -> Item:
    """Return the item. Raises `NoSuchItem`."""
    if not 0 < item_id <= MAX_ID:
        raise NoSuchItem(item_id)
    async with use_connection(pool) as connection:
        row = await (await connection.execute(QUERIES["item_by_id"], {"id": item_id})).fetchone()
    if row is None:
        raise NoSuchItem(item_id)
    return Item.from_row(row)


async def _change_quantity(pool: Pool, item_id: int, by: int, author: Author) -> int:
    try:
        row = await _write(pool, "change_quantity", {"id": item_id, "by": by}, author)
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
    return int(row["quantity"])


async def _write(pool: Pool, query: str, values: Mapping[str, Any], author: Author) -> Mapping[str, Any] | None:
    """Run one statement in a transaction that says who it is; return its row, if any. Raises `Busy` or `Refused`."""
    if not 0 < values.get("id", 1) <= MAX_ID:
        return None
    claim = {"actor": author.actor or "", "source": author.source}
    try:
        async with use_connection(pool) as connection, connection.transaction():
            await connection.execute(QUERIES["claim"], claim)
            return await (await connection.execute(QUERIES[query], values)).fetchone()
    except psycopg.errors.LockNotAvailable as error:
        raise Busy from error
    except psycopg.errors.IntegrityError as error:
        raise Refused(error.diag.constraint_name or "a constraint") from error
