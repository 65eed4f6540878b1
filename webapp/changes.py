"""What the change feed says: committed changes of items, and the moments when only a fresh look helps."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from operator import itemgetter
from typing import Any, Self

from webapp.items import is_low


@dataclass(frozen=True, slots=True)
class ItemState:
    """An item's user columns on one side of a change, and what the database compares in place of its texts.

    `searchable` is what it looks for a search text in; it sorts by the folded texts, by code points.
    """

    name: str
    quantity: int
    unit: str | None
    location: str | None
    reorder_level: int | None
    code: str | None
    searchable: str
    folded_name: str
    folded_unit: str | None
    folded_location: str | None
    folded_code: str | None

    @property
    def is_low(self) -> bool:
        """Whether the stock has fallen to the reorder level."""
        return is_low(self.quantity, self.reorder_level)


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change; `before` is None for an insert, `after` for a delete, both and `item_id` for a truncate.

    `xid` names the transaction that made it, as snapshots do: pages and cursors can tell whether they have seen it.
    """

    id: int
    xid: int
    operation: str
    item_id: int | None
    before: ItemState | None
    after: ItemState | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of the query `changes_since`."""
        before = None if row["before_name"] is None else ItemState(*_BEFORE(row))
        after = None if row["after_name"] is None else ItemState(*_AFTER(row))
        return cls(row["id"], row["xid"], row["operation"], row["item_id"], before, after)


_BEFORE, _AFTER = (itemgetter(*(f"{side}_{field.name}" for field in fields(ItemState))) for side in ("before", "after"))


class Touch(IntEnum):
    """How much of what is shown a change can alter: nothing, only figures that are known already, or all of it."""

    NOTHING = 0
    FIGURES = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Changes:
    """Committed changes in the order of the log, each told exactly once."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Resync:
    """What happened meanwhile cannot or shall not be told one by one: show everything afresh."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A payload of `messages_channel`, raw: a hint, and text that anyone may have written."""

    payload: str


Event = Changes | Resync | Heard
