"""What the change feed says: committed changes of items, and the moments when only a fresh look helps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from webapp.items import is_low


@dataclass(frozen=True, slots=True)
class ItemState:
    """An item's user columns on one side of a change; `searchable` is what the database looks for a search text in."""

    name: str
    quantity: int
    unit: str | None
    location: str | None
    reorder_level: int | None
    code: str | None
    searchable: str

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
        before, after = _state(row, "before"), _state(row, "after")
        return cls(row["id"], row["xid"], row["operation"], row["item_id"], before, after)


def _state(row: Mapping[str, Any], side: str) -> ItemState | None:
    if row[f"{side}_name"] is None:
        return None
    columns = ("name", "quantity", "unit", "location", "reorder_level", "code", "searchable")
    return ItemState(*(row[f"{side}_{column}"] for column in columns))


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
