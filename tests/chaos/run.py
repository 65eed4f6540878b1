"""A round of chaos, and what has come of it."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

import psycopg
from playwright.async_api import Page as Tab

from tests.chaos import faults, writers
from tests.chaos.watchers import HONEST_WITHIN_S, IN_BROWSERS, VIEWS, Watcher, open_tabs, rows_in, truth
from tests.chaos.world import World, open_world
from tests.chaos.writers import Pulse, Writes

WRITERS = 4
LOOK_S = 0.1
FIRST_ITEMS = "INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, 300) AS n"
LAST_WORDS = (
    "INSERT INTO inventory (name, quantity) SELECT now() || 'last ' || n, n FROM generate_series(1, 6000) AS n",
    "UPDATE inventory SET quantity = quantity + 1 WHERE name = '!!'",
    "INSERT INTO inventory (name, quantity) VALUES ('!!', 1) ON CONFLICT DO NOTHING",
)


@dataclass
class Report:
    """What was done, and what was wrong: views that did not come to show what they have to, and how stale one was.

    Pages are read in this process, so what it was late itself is not theirs.
    """

    writes: Writes = field(default_factory=Writes)
    faults: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    quiet_after_s: float = 0.0
    diverged: list[str] = field(default_factory=list)
    worst_s: float = 0.0
    late_s: float = 0.0

    @property
    def is_good(self) -> bool:
        return not self.diverged and self.worst_s <= HONEST_WITHIN_S + self.late_s

    def __str__(self) -> str:
        happened = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        return (
            f"{self.writes.tried} writes ({self.writes.failed} refused), {self.faults.total()} faults ({happened}),"
            f" {self.frames} frames; all equal {self.quiet_after_s:.1f} s after the last;"
            f" {self.worst_s:.1f} s old at worst while claiming to be live ({self.late_s:.1f} s of it may be ours);"
            f" diverged: {', '.join(self.diverged) or 'none'}"
        )


class Chaos:
    """A world and those who watch it, for as many rounds as wanted."""

    def __init__(self, world: World, watchers: list[Watcher], tabs: dict[str, Tab]) -> None:
        self._world, self._watchers, self._tabs = world, watchers, tabs
        self._pulse = Pulse()

    async def round(self, seed: int, seconds: float, patience_s: float) -> Report:
        """Let it all happen for some seconds, and then see whether all pages come to show what they have to."""
        report = Report()
        await self._stir(seed, seconds, report)
        self._world.mend()
        self._world.outer.cut()
        await self._say_last_words()
        self._world.outer.mend()
        steady = [watcher for watcher in self._watchers if not watcher.is_restless]
        async with _meanwhile(watcher.page.follow() for watcher in steady):
            await self._settle(report, patience_s, steady)
            async with _meanwhile(watcher.page.follow() for watcher in self._watchers if watcher.is_restless):
                await self._settle(report, patience_s, self._watchers)
                await self._say_last_words()
                await self._settle(report, patience_s, self._watchers)
        return report

    async def _stir(self, seed: int, seconds: float, report: Report) -> None:
        chances = (random.Random(f"{seed} {number}") for number in count())
        activities = [
            faults.disturb(self._world, next(chances), report.faults),
            self._pulse.beat(self._world),
            self._look(report),
            *(writers.write(self._world, next(chances), report.writes) for _ in range(WRITERS)),
            *(watcher.watch(next(chances)) for watcher in self._watchers),
        ]
        async with _meanwhile(activities):
            await asyncio.sleep(seconds)

    async def _look(self, report: Report) -> None:
        """Look several times a second whether what pages claim is true."""
        while True:
            asked_at = time.monotonic()
            await asyncio.sleep(LOOK_S)
            report.late_s = max(report.late_s, time.monotonic() - asked_at - LOOK_S)
            report.worst_s = max(report.worst_s, *(watcher.age_s(self._pulse) for watcher in self._watchers))
            report.frames += sum(watcher.count_frames() for watcher in self._watchers)

    async def _say_last_words(self) -> None:
        """Write what nothing comes after that would cover it up; the database may be on its way back."""
        for statement in LAST_WORDS:
            while True:
                with suppress(psycopg.Error):
                    await self._world.execute(statement)
                    break

    async def _settle(self, report: Report, patience_s: float, watchers: Sequence[Watcher]) -> None:
        """Wait until nothing differs any more, unless something did for too long already."""
        if report.diverged:
            return
        began_at = time.monotonic()
        while (diverged := await self._find_diverged(watchers)) and time.monotonic() - began_at < patience_s:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        report.quiet_after_s = max(report.quiet_after_s, time.monotonic() - began_at)
        report.diverged = diverged

    async def _find_diverged(self, watchers: Sequence[Watcher]) -> list[str]:
        with psycopg.connect(self._world.database_url) as database:
            wanted = {query: truth(database, query) for query in VIEWS}
        wrong = [f"/?{each.page.query}" for each in watchers if not each.shows(wanted[each.page.query])]
        for query, tab in self._tabs.items():
            if await rows_in(tab) != wanted[query].rows:
                wrong.append(f"a browser at /?{query}")
        return wrong


@asynccontextmanager
async def open_chaos(*, without: str = "", with_browsers: bool = True) -> AsyncIterator[Chaos]:
    """Start a world with pages that watch it; `without` takes a safety out of the application."""
    async with open_world(without) as world:
        await world.execute(
            "INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, 300) n"
        )
        watchers = [Watcher(world, query, restless=restless) for query in VIEWS for restless in (False, True)]
        await asyncio.gather(*(watcher.page.open() for watcher in watchers))
        async with open_tabs(world, IN_BROWSERS if with_browsers else ()) as tabs:
            yield Chaos(world, watchers, tabs)


@asynccontextmanager
async def _meanwhile(activities: Iterable[Coroutine[None, None, object]]) -> AsyncIterator[None]:
    """Run activities that never end while the context lasts; one that fails ends it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(activity) for activity in activities]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
