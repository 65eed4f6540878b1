"""A stretch of a list around one page of it: read once, and from then on kept from the change feed."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple, Self

from webapp.live.changes import Change, Horizon, ItemState

MAX_UNPLACED = 1_000
_VALUES = {
    "id": "",
    "name": "folded_name",
    "quantity": "quantity",
    "unit": "folded_unit",
    "location": "folded_location",
    "reorder_level": "reorder_level",
    "code": "folded_code",
}

Place = tuple[Any, ...]
"""Where an item stands in an order, to be compared with others of the same order; its id comes last."""

UNTOLD: Place = ()
"""Where an item stands whose value the change feed does not tell: somewhere."""


class _Descending:
    """A value that comes before all smaller ones."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.value == other.value)

    def __lt__(self, other: "_Descending") -> bool:
        return bool(other.value < self.value)

    def __hash__(self) -> int:
        return hash(self.value)


@dataclass(frozen=True, slots=True)
class Order:
    """An order of items: the one whose code is the needle first, then by a column, those without a value last."""

    column: str
    descending: bool
    needle: str

    def of_row(self, row: Mapping[str, Any]) -> Place:
        """Return where the database has an item; `key` is its value in the column."""
        return self._place(row["id"], row["key"], is_exact=row["is_exact"])

    def of_state(self, item_id: int, state: ItemState | None) -> Place | None:
        """Return where an item stands that the change feed tells of; None: nowhere."""
        if state is None:
            return None
        if self.column not in _VALUES:
            return UNTOLD
        value = item_id if self.column == "id" else getattr(state, _VALUES[self.column])
        return self._place(item_id, value, is_exact=bool(self.needle) and state.folded_code == self.needle)

    def _place(self, item_id: int, value: Any, *, is_exact: bool) -> Place:
        """Compared as the database does: text by code points, and by id what is equal."""
        if value is None:
            return not is_exact, True, item_id
        return not is_exact, False, _Descending(value) if self.descending else value, item_id


class Move(NamedTuple):
    """What a transaction did to an item in an order: from where to where. None for the item: all are gone."""

    xid: int
    item_id: int | None
    before: Place | None
    after: Place | None


@dataclass(frozen=True, slots=True)
class Moves:
    """What changes do in an order: the items they alter, and those of the changes that move an item."""

    item_ids: frozenset[int | None]
    moves: tuple[Move, ...]

    @classmethod
    def of(cls, changes: Iterable[Change], order: Order) -> Self:
        """Look at changes that are seen through a filter."""
        item_ids: set[int | None] = set()
        moves: list[Move] = []
        for change in changes:
            item_ids.add(change.item_id)
            before, after = (order.of_state(change.item_id or 0, state) for state in (change.before, change.after))
            if before != after or not before:
                moves.append(Move(change.xid, change.item_id, before, after))
        return cls(frozenset(item_ids), tuple(moves))


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many rows of a list after an offset; both are counted from its end where that is nearer."""

    offset: int
    rows: int
    from_end: bool

    @classmethod
    def around(cls, page: int, matches: int, page_rows: int, margin: int = 0) -> Self:
        """Return where a page of a list is, one that is there or the first of an empty one, and a margin around it."""
        before = (page - 1) * page_rows
        after = max(0, matches - before - page_rows)
        start = max(0, before - margin)
        if after < before:
            offset = max(0, after - margin)
            return cls(offset, matches - offset - start, from_end=True)
        return cls(start, before + page_rows + margin - start, from_end=False)

    @property
    def end(self) -> int:
        """How many rows there are up to its end."""
        return self.offset + self.rows


class Window:
    """All items of a list between two places, in order, and how many there are beyond it at the nearer end.

    It is what a snapshot saw and what was heard since. A bound is None where the list itself begins or ends.
    """

    def __init__(self, order: Order, stretch: Stretch, rows: Sequence[Mapping[str, Any]], *, among_known: bool) -> None:
        """Take over rows of the query `view_items`: all there are in a stretch, at least one.

        If they were looked for `among_known` items, those that came just before the snapshot are not in it.
        """
        self._order = order
        self._among_known = among_known
        self._horizon = Horizon.parse(rows[0]["snapshot"])
        self._places = [order.of_row(row) for row in rows]
        self._from_end = stretch.from_end
        self._beyond = stretch.offset
        is_cut_off = len(rows) == stretch.rows
        has_before, has_after = (is_cut_off, stretch.offset) if stretch.from_end else (stretch.offset, is_cut_off)
        self._first = self._places[0] if has_before else None
        self._last = self._places[-1] if has_after else None
        self._is_void = False
        self.unplaced: set[int] = set()

    def hear(self, moves: Iterable[Move]) -> None:
        """Take note of moves. Those that its snapshot saw are in it already."""
        for move in moves:
            if move.item_id is None:
                self._is_void = True
            elif self._horizon.sees(move.xid):
                self._is_void |= self._among_known and move.before is None
            elif UNTOLD in (move.before, move.after):
                self._unplace(move.item_id, matches=move.after is not None)
            else:
                self._count(move.before, -1)
                self._count(move.after, +1)

    def place(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Put the unplaced items, as far as they are there, where the database has them now."""
        for row in rows:
            self._count(self._order.of_row(row), +1)
        self.unplaced.clear()

    def page(self, start: int, rows: int, matches: int, margin: int) -> list[int] | None:
        """Return the items of a page of the list, which has so many; None if they are not all known.

        What lies beyond the margin is given up if it has become much.
        """
        skipped = start - self._before(matches)
        end = skipped + rows
        if self._is_void or skipped < 0 or (end > len(self._places) and self._last is not None):
            return None
        if len(self._places) > rows + 4 * margin:
            self._narrow(max(0, skipped - margin), end + margin)
            skipped = start - self._before(matches)
        return [place[-1] for place in self._places[skipped : skipped + rows]]

    def margin(self, start: int, rows: int, matches: int) -> float:
        """Count the items that are known before or after a page, where the list goes on; the fewer of both."""
        before = start - self._before(matches)
        after = len(self._places) - before - rows
        return min(before if self._first else inf, after if self._last else inf)

    def _before(self, matches: int) -> int:
        """How many items come before it in the list."""
        if self._first is None:
            return 0
        return matches - self._beyond - len(self._places) if self._from_end else self._beyond

    def _count(self, place: Place | None, by: int) -> None:
        if place is None:
            return
        is_before = self._first is not None and place < self._first
        is_after = self._last is not None and place > self._last
        if is_before or is_after:
            self._beyond += by if is_after == self._from_end else 0
        elif by > 0:
            insort(self._places, place)
        else:
            self._remove(place)

    def _remove(self, place: Place) -> None:
        at = bisect_left(self._places, place)
        if self._places[at : at + 1] == [place]:
            del self._places[at]
        else:
            self._is_void = True

    def _unplace(self, item_id: int, *, matches: bool) -> None:
        """Where it was is not told either: unless it was here, it may have been one of those beyond."""
        staying = [place for place in self._places if place[-1] != item_id]
        was_here = len(staying) < len(self._places) or item_id in self.unplaced
        self._places = staying
        (self.unplaced.add if matches else self.unplaced.discard)(item_id)
        self._is_void |= (self._beyond > 0 and not was_here) or len(self.unplaced) > MAX_UNPLACED

    def _narrow(self, start: int, end: int) -> None:
        before, after = start, max(0, len(self._places) - end)
        self._places = self._places[start:end]
        self._first = self._places[0] if before else self._first
        self._last = self._places[-1] if after else self._last
        self._beyond += after if self._from_end else before
