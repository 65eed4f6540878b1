"""What is in stock, in values, and what the stock does not allow."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self

MAX_QUANTITY = MAX_ID = 2**63 - 1
FIELDS = ("name", "quantity", "unit", "location", "reorder_level", "code")


def is_low(quantity: int, reorder_level: int | None) -> bool:
    """Whether a quantity has fallen to the reorder level, if there is one."""
    return reorder_level is not None and quantity <= reorder_level


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the inventory."""

    id: int
    name: str
    quantity: int
    unit: str | None
    location: str | None
    reorder_level: int | None
    code: str | None
    version: int
    updated_at: datetime

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row that has at least the item's columns."""
        return cls(*(row[field] for field in cls.__slots__))

    @property
    def is_low(self) -> bool:
        """Whether the stock has fallen to the reorder level."""
        return is_low(self.quantity, self.reorder_level)


class Seen(NamedTuple):
    """A version of an item that somebody looked at, and when it was written, as far as he says.

    By the latter it is known from that of another item, which may have the number after TRUNCATE.
    """

    version: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewItem:
    """What a person or program says of an item that is to be added."""

    name: str
    quantity: int
    unit: str | None = None
    location: str | None = None
    reorder_level: int | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes the stock, as far as known, how ("page", "api", ...), why, and which change this takes back."""

    source: str
    actor: str | None = None
    reason: str | None = None
    undoes: int | None = None


class StockError(Exception):
    """An operation that the stock does not allow; `str()` of it is a sentence for people."""


@dataclass
class NoSuchItem(StockError):
    """The item was deleted meanwhile, or never was."""

    item_id: int

    def __str__(self) -> str:
        return "This item is no longer in the inventory."


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
    """The quantity would exceed what a bigint holds."""

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
    """The database refused a value; `constraint` names the promise that it would break.

    Where none has a name, such as in a trigger of the shop's own, `why` says what the database says.
    """

    constraint: str
    why: str = ""

    def __str__(self) -> str:
        return (
            f"The database refused this: {self.why}"
            if self.why
            else f"The database refused this value ({self.constraint})."
        )


@dataclass
class CodeTaken(StockError):
    """Another item bears the code, regardless of case."""

    code: str

    def __str__(self) -> str:
        return f"Another item has the code “{self.code}”."


@dataclass
class EditConflict(StockError):
    """Somebody else changed the same fields since.

    `theirs` is the item now, `mine` the values that were really edited, `fields` those that both have changed.
    """

    theirs: Item
    mine: Mapping[str, Any]
    fields: tuple[str, ...]
    who: str
    how: str
    at: datetime

    def __str__(self) -> str:
        return f"“{self.theirs.name}” was changed by {self.who} meanwhile."


@dataclass
class CannotUndo(StockError):
    """A change that cannot be taken back; `why` is a sentence."""

    why: str

    def __str__(self) -> str:
        return self.why
