"""How many items match a filter, and if few, which: counted once, and from then on kept from the change feed."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from webapp.live.changes import Change, Changes, Horizon, ItemState
from webapp.live.matching import Matcher
from webapp.live.window import Moves, Order

KEPT_IDS = 1_000


@dataclass(frozen=True, slots=True)
class Figures:
    """Some items in three numbers: how many they are, their quantities added up, and how many are low."""

    items: int = 0
    units: int = 0
    low: int = 0

    def after(self, change: Change) -> "Figures":
        """Return the figures as a change leaves them."""
        gone, come = _figures(change.before), _figures(change.after)
        return Figures(
            self.items - gone.items + come.items, self.units - gone.units + come.units, self.low - gone.low + come.low
        )


class Tally:
    """The figures of a filter. `figures` is None while nobody has counted, or something has made the count void.

    `ids` are the items that match, or None where they are too many, or not known. Both are read together with the
    snapshot they were found in. A change that the snapshot sees is in them already, whenever the feed tells it; every
    other one is added. So counting and hearing may overlap in any way.
    """

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.figures: Figures | None = None
        self.ids: set[int] | None = None
        self.counted_at = float("-inf")
        self.counting = asyncio.Lock()
        self._horizon = Horizon(0)
        self._heard_meanwhile: list[Change] | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the query `matches`, which so looks at no other items than those that can match."""
        return {**self.matcher.parameters, "ids": None if self.ids is None else list(self.ids)}

    def seen(self, changes: Changes) -> tuple[Change, ...]:
        """Return the changes as one who looks through the filter sees them; found out once for all views."""
        if self not in changes.findings:
            changes.findings[self] = self.matcher.seen(changes)
        found: tuple[Change, ...] = changes.findings[self]
        return found

    def moves(self, changes: Changes, order: Order) -> Moves:
        """Return what the changes do in an order of the items that match; found out once for all pages."""
        if (self, order) not in changes.findings:
            changes.findings[self, order] = Moves.of(self.seen(changes), order)
        found: Moves = changes.findings[self, order]
        return found

    def hear(self, changes: Changes) -> None:
        """Take note of committed changes."""
        seen = self.seen(changes)
        if self._heard_meanwhile is not None:
            self._heard_meanwhile.extend(seen)
        self._add(seen)

    def make_void(self) -> None:
        """Forget the figures, also those that are being counted: changes were not told one by one."""
        self.figures = self.ids = self._heard_meanwhile = None

    def begin_count(self) -> None:
        """Say that the items are about to be counted: what is heard from now on may not be in the count."""
        self._heard_meanwhile = []

    def end_count(self, figures: Figures, horizon: Horizon, ids: Collection[int] | None) -> None:
        """Take over what was counted in a snapshot, and add what was heard meanwhile."""
        if self._heard_meanwhile is not None:  # else the count is void
            self.figures, self._horizon, self.counted_at = figures, horizon, time.monotonic()
            self.ids = None if ids is None else set(ids)
            self._add(self._heard_meanwhile)

    def stop_count(self) -> None:
        """Say that nobody counts any more, whether the count has ended or failed."""
        self._heard_meanwhile = None

    def _add(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if self.figures is None:
                return
            if self._horizon.sees(change.xid):
                continue
            if change.item_id is None:
                self.figures = self.ids = None
            else:
                self.figures = self.figures.after(change)
                self._add_id(change.item_id, matches=change.after is not None)

    def _add_id(self, item_id: int, *, matches: bool) -> None:
        if self.ids is None:
            return
        (self.ids.add if matches else self.ids.discard)(item_id)
        if len(self.ids) > KEPT_IDS:
            self.ids = None


_NONE = Figures()


def _figures(state: ItemState | None) -> Figures:
    return _NONE if state is None else Figures(1, state.quantity, state.is_low)
