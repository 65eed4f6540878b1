"""What the change feed says: committed changes of items, and the moments when only a fresh look helps."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple, Self

from webapp.stock.items import is_low


class ItemState(NamedTuple):  # thousands a second are made, and a frozen dataclass takes three times as long
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


class Change(NamedTuple):
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
        after = None if row["after_name"] is None else ItemState._make(_AFTER(row))
        if row["before_name"] is not None:
            before = ItemState._make(_BEFORE(row))
        elif after is not None and row["before_quantity"] is not None:
            before = after._replace(quantity=row["before_quantity"], reorder_level=row["before_reorder_level"])
        else:
            before = None
        return cls(row["id"], row["xid"], row["operation"], row["item_id"], before, after)

    @property
    def states(self) -> Iterator[ItemState]:
        """What is known of the item: before, after, or both."""
        return filter(None, (self.before, self.after))


_BEFORE, _AFTER = (itemgetter(*(f"{side}_{name}" for name in ItemState._fields)) for side in ("before", "after"))


class Touch(IntEnum):
    """How much of what is shown must be read anew: nothing, what changed, or all.

    `DOUBT` is the least: nothing was heard of, but somebody has seen what was never shown here.
    """

    NOTHING = 0
    DOUBT = 1
    SOME = 2
    ALL = 3


@dataclass(frozen=True, slots=True)
class Horizon:
    """What a snapshot sees: all transactions before `xmax` but those that were open."""

    xmax: int
    open: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, snapshot: str) -> Self:
        """Read a pg_snapshot: xmin:xmax:open,open,..."""
        _, xmax, still_open = snapshot.split(":")
        return cls(int(xmax), frozenset(map(int, filter(None, still_open.split(",")))))

    def sees(self, xid: int) -> bool:
        """Whether what a committed transaction did is in the snapshot."""
        return xid < self.xmax and xid not in self.open


@dataclass(frozen=True, eq=False)
class Changes:
    """Committed changes in the order of the log, each told exactly once.

    Many look for their own among them, so what they look by is put together once for all.
    """

    changes: tuple[Change, ...]
    findings: dict[Hashable, Any] = field(default_factory=dict, repr=False)  # of others, for all who ask the same

    @cached_property
    def item_ids(self) -> frozenset[int | None]:
        """The items that were changed; None: all were removed at once."""
        return frozenset(change.item_id for change in self.changes)

    @cached_property
    def searchable(self) -> str:
        """All that a search text is looked for in; no search text has the character between two."""
        return "\0".join({state.searchable for change in self.changes for state in change.states})

    @cached_property
    def has_low(self) -> bool:
        """Whether an item was low before its change, or is after it."""
        return any(state.is_low for change in self.changes for state in change.states)

    @cached_property
    def by_location(self) -> Mapping[str | None, Collection[Change]]:
        """The changes of the items that were, or are, at a location."""
        found: defaultdict[str | None, dict[int, Change]] = defaultdict(dict)
        for change in self.changes:
            for state in change.states:
                found[state.location][change.id] = change
        return {location: changes.values() for location, changes in found.items()}


@dataclass(frozen=True, slots=True)
class Resync:
    """What happened meanwhile cannot or shall not be told one by one: show everything afresh.

    `transactions` is how many were seen to have a part in it, at least.
    """

    transactions: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """Payloads of `messages_channel`, raw: a hint, and texts that anyone may have written."""

    payloads: Sequence[str]


@dataclass(frozen=True, slots=True)
class AccountsChanged:
    """A hint: somebody's account or session is not what it was."""


Event = Changes | Resync | Heard | AccountsChanged
