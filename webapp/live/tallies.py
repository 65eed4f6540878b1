"""The tallies of this process, one for each filter that somebody looks through."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from weakref import WeakValueDictionary

from webapp.live.changes import Horizon
from webapp.live.matching import Matcher
from webapp.live.tally import KEPT_IDS, Figures, Tally
from webapp.postgres.pool import Pool, fetch
from webapp.postgres.queries import filled
from webapp.stock.views import ALL_ITEMS, Filter

RECENT_TALLIES = 100
COUNT_AGAIN_S = 300.0  # whoever writes with the triggers switched off is not told of: no tally is trusted for ever
_FIGURES = filled("figures", matches="matches")


class Tallies:
    """Finds tallies, makes them where there is none, and counts where their figures are not known."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._tallies: WeakValueDictionary[Filter, Tally] = WeakValueDictionary()  # live views hold theirs
        self._recent: OrderedDict[Filter, Tally] = OrderedDict()  # a page's until its socket comes, and a few more
        self._totals = self._tallies[ALL_ITEMS] = Tally(Matcher(ALL_ITEMS, ""))

    def __iter__(self) -> Iterator[Tally]:
        return iter(list(self._tallies.values()))

    @property
    def items(self) -> int | None:
        """How many items there are; None while nobody has counted them."""
        return self._totals.figures.items if self._totals.figures else None

    async def of(self, wanted: Filter) -> Tally:
        """Return the tally of a filter; it goes on as long as somebody holds it."""
        tally = self._tallies.get(wanted)
        if tally is None:
            matcher = await Matcher.of(wanted, self._pool)
            tally = self._tallies.setdefault(wanted, Tally(matcher))
        self._recent[wanted] = tally
        self._recent.move_to_end(wanted)
        if len(self._recent) > RECENT_TALLIES:
            self._recent.popitem(last=False)
        return tally

    async def figures(self, tally: Tally, *, certain: bool = True) -> Figures:
        """Return the figures as of all that was heard; or counted now, also where what was heard is not `certain`."""
        async with tally.counting:  # all who need them wait for one count
            if certain and tally.figures and not self.is_due(tally):
                return tally.figures
            return await self._count(tally)

    def is_due(self, tally: Tally) -> bool:
        """Whether it is so long ago that the items were counted that they are to be counted again."""
        return time.monotonic() - tally.counted_at >= COUNT_AGAIN_S

    async def _count(self, tally: Tally) -> Figures:
        tally.begin_count()
        try:
            kept = KEPT_IDS if tally.matcher.filter.is_scattered else 0
            (row,) = await fetch(self._pool, _FIGURES, {**tally.matcher.parameters, "kept": kept})
            counted = Figures(row["items"], int(row["units"]), row["low"])
            tally.end_count(counted, Horizon.parse(row["snapshot"]), row["ids"])
        finally:
            tally.stop_count()
        return tally.figures or counted
