"""The rows that a page of a list shows, and what a change can alter of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

from webapp.changes import Change, ItemState, Touch

_VALUES = {
    "name": "folded_name",
    "quantity": "quantity",
    "unit": "folded_unit",
    "location": "folded_location",
    "reorder_level": "reorder_level",
    "code": "folded_code",
}


@dataclass(frozen=True, slots=True)
class Order:
    """An order of items: the one whose code is the needle first, then by a column, those without a value last."""

    column: str
    descending: bool
    needle: str

    @property
    def is_told(self) -> bool:
        """Whether the change feed tells what is sorted by."""
        return self.column == "id" or self.column in _VALUES

    def place(self, item_id: int, state: ItemState) -> "Place":
        """Return where an item stands."""
        value = item_id if self.column == "id" else self._value(state)
        return Place(bool(self.needle) and state.folded_code == self.needle, value, item_id)

    def keeps(self, before: ItemState | None, after: ItemState | None) -> bool:
        """Whether an item is for sure in the same place before and after."""
        if before is None or after is None or (self.needle and before.folded_code != after.folded_code):
            return False
        return self.column == "id" or (self.is_told and self._value(before) == self._value(after))

    def precedes(self, one: "Place", other: "Place") -> bool:
        """Compare as the database does: text by code points, and by id what is equal."""
        if one.is_exact != other.is_exact:
            return one.is_exact
        if one.value == other.value:
            return one.id < other.id
        if one.value is None or other.value is None:
            return other.value is None
        return bool(one.value > other.value if self.descending else one.value < other.value)

    def _value(self, state: ItemState) -> Any:
        return getattr(state, _VALUES[self.column])


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands in an order."""

    is_exact: bool
    value: Any
    id: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Place":
        """Read a row of the query `view_items`."""
        return cls(row["is_exact"], row["key"], row["id"])


@dataclass(frozen=True, slots=True)
class Moves:
    """What changes do in an order: the items that stay in their places, and the changes that may move others."""

    stay: frozenset[int]
    move: tuple[Change, ...]

    @classmethod
    def of(cls, changes: Iterable[Change], order: Order) -> Self:
        """Part changes that are seen through a filter."""
        stay: set[int] = set()
        move: list[Change] = []
        for change in changes:
            if change.item_id is not None and order.keeps(change.before, change.after):
                stay.add(change.item_id)
            else:
                move.append(change)
        return cls(frozenset(stay), tuple(move))


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many rows of a list after an offset; both are counted from its end where that is nearer."""

    offset: int
    rows: int
    from_end: bool

    @classmethod
    def of_page(cls, page: int, matches: int, page_rows: int) -> Self:
        """Return where a page of a list is: one that is there, or the first of an empty one."""
        before = (page - 1) * page_rows
        after = max(0, matches - before - page_rows)
        if after < before:
            return cls(after, min(page_rows, matches - before), from_end=True)
        return cls(before, page_rows, from_end=False)

    @property
    def end(self) -> int:
        """How many rows there are up to its end."""
        return self.offset + self.rows


class Side(IntEnum):
    """Where an item stands as seen from a window. One that does not match moves no row, as if it came after all."""

    BEFORE = 0
    INSIDE = 1
    AFTER = 2


@dataclass(frozen=True, slots=True)
class Window:
    """The items shown, and the places between which they are all there are; None: no item comes before, or after.

    If they were counted off from the end, another number of items means others are to be shown.
    """

    order: Order
    ids: frozenset[int]
    first: Place | None
    last: Place | None
    from_end: bool

    def touch(self, moves: Moves) -> Touch:
        """Say what changes can alter: not the rows, if they leave what is not shown before, or after, them."""
        most = Touch.NOTHING if self.ids.isdisjoint(moves.stay) else Touch.ROWS
        for change in moves.move:
            touch = self._touch_of_move(change)
            if touch is Touch.ALL:
                return touch
            most = max(most, touch)
        return most

    def _touch_of_move(self, change: Change) -> Touch:
        if change.item_id is None or change.item_id in self.ids or not self.order.is_told:
            return Touch.ALL
        before, after = self._side(change.item_id, change.before), self._side(change.item_id, change.after)
        if before != after or before is Side.INSIDE:
            return Touch.ALL
        if change.before and change.after:
            return Touch.NOTHING
        return Touch.ALL if self.from_end else Touch.FIGURES

    def _side(self, item_id: int, state: ItemState | None) -> Side:
        if state is None:
            return Side.AFTER
        place = self.order.place(item_id, state)
        if self.first and self.order.precedes(place, self.first):
            return Side.BEFORE
        return Side.AFTER if self.last and self.order.precedes(self.last, place) else Side.INSIDE
