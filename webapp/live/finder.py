"""Finds a stretch of a list: by a shortcut where one promises to be short, otherwise by putting all in order."""

from typing import Any

from webapp.live.tally import Tally
from webapp.live.window import Stretch
from webapp.postgres.pool import Pool, fetch
from webapp.postgres.queries import is_unique, ordered
from webapp.stock.views import View

NEAR = 10_000  # items are looked at in the order of an index as soon as thousands that match are sorted
DEEP = 20_000  # to put so many in order takes longer than to count them
SAMPLE_ROWS = 5_000
SLACK = 0.04  # of the list, by which a sample may misjudge where a value stands
MOST = 0.3  # of the list, if one value is so frequent that more is between two, all may as well be put in order

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
        elif self._is_worth_a_sample(stretch, matches):
            rows = await self._find_between(stretch, matches, wanted)
        if len(rows) == stretch.rows:
            return rows
        return await self._fetch("view_items", stretch, wanted, found="all_first" if self._view.low else "in_order")

    def _is_near(self, stretch: Stretch, matches: int, items: int | None) -> bool:
        """Whether they come soon in the order of an index, if what matches is spread over it evenly."""
        if items is None or not self._view.filter.is_scattered or not is_unique(self._view.column):
            return False
        return 2 * stretch.end * items < matches * NEAR

    def _is_worth_a_sample(self, stretch: Stretch, matches: int) -> bool:
        """Whether only those about them should be looked through and sorted; an index has those of a location."""
        view = self._view
        is_backwards = view.descending and view.column in ("location", "code")  # an index has their order but for gaps
        return matches >= DEEP and not view.location and (stretch.offset >= DEEP or is_backwards or view.q != "")

    async def _find_between(self, stretch: Stretch, matches: int, wanted: dict[str, Any]) -> Rows:
        """Let a sample say between which two values they are; those before these are only counted."""
        share = {"from": stretch.offset / matches - SLACK, "to": stretch.end / matches + SLACK}
        percent = min(100.0, 4 * 100 * SAMPLE_ROWS / matches)  # of the pages on disk: of each a quarter is taken
        (bounds,) = await self._fetch("view_items_sample", stretch, {**wanted, **share, "percent": percent})
        if bounds["last"] is None or bounds["share"] > MOST:
            return []
        return await self._fetch("view_items_between", stretch, {**wanted, **bounds, "from_start": share["from"] <= 0})

    async def _fetch(self, query: str, stretch: Stretch, parameters: dict[str, Any], **parts: str) -> Rows:
        column, descending = self._view.column, self._view.descending
        statement = ordered(query, column, descending=descending, from_end=stretch.from_end, **parts)
        return await fetch(self._pool, statement, parameters)
