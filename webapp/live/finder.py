"""Finds a stretch of a list: by a shortcut where one promises to be short, otherwise by putting all in order."""

from typing import Any

from webapp.live.tally import Tally
from webapp.live.window import Stretch
from webapp.postgres.pool import Pool, fetch
from webapp.postgres.queries import is_unique, ordered
from webapp.stock.views import View

NEAR = 10_000  # items are looked at in the order of an index as soon as thousands that match are sorted
DEEP = 20_000  # to sort so many takes longer than to count them
SAMPLE_ROWS = 5_000
SLACK = 0.05  # of the list, by which a sample may misjudge where a value stands

Rows = list[dict[str, Any]]


class Finder:
    """Reads the rows of a view from the database."""

    def __init__(self, view: View, pool: Pool) -> None:
        self._view = view
        self._pool = pool

    async def find(self, stretch: Stretch, tally: Tally, matches: int, items: int | None) -> Rows:
        """Return the rows of a stretch in order, as the query `view_items` says.

        About how many `matches` and `items` there are decides on the way only; None: that is not known.
        """
        wanted = {**tally.parameters, "page_rows": stretch.rows, "offset": stretch.offset}
        rows: Rows = []
        if tally.ids is None and self._is_near(stretch, matches, items):
            rows = await self._fetch("view_items_near", stretch, {**wanted, "near": NEAR})
        elif self._is_deep(stretch):
            rows = await self._find_between(stretch, matches, wanted)
        if len(rows) == stretch.rows:
            return rows
        return await self._fetch("view_items", stretch, wanted, found="all_first" if self._view.low else "in_order")

    def _is_near(self, stretch: Stretch, matches: int, items: int | None) -> bool:
        """Whether they come soon in the order of an index, if what matches is spread over it evenly."""
        if items is None or not self._view.filter.is_scattered or not is_unique(self._view.column):
            return False
        return 2 * stretch.end * items < matches * NEAR

    def _is_deep(self, stretch: Stretch) -> bool:
        """Whether so many come before that only those around them should be sorted. A location's are found by index."""
        return stretch.offset >= DEEP and not self._view.location

    async def _find_between(self, stretch: Stretch, matches: int, wanted: dict[str, Any]) -> Rows:
        """Look between two values, if a sample has two that differ; those before them are only counted."""
        share = {"from": stretch.offset / matches - SLACK, "to": stretch.end / matches + SLACK}
        percent = min(100.0, 100 * SAMPLE_ROWS / matches)
        (bounds,) = await self._fetch("view_items_sample", stretch, {**wanted, **share, "percent": percent})
        if None in bounds.values() or bounds["first"] == bounds["last"]:
            return []
        return await self._fetch("view_items_between", stretch, {**wanted, **bounds})

    async def _fetch(self, query: str, stretch: Stretch, parameters: dict[str, Any], **parts: str) -> Rows:
        column, descending = self._view.column, self._view.descending
        statement = ordered(query, column, descending=descending, from_end=stretch.from_end, **parts)
        return await fetch(self._pool, statement, parameters)
