"""What the status page shows live: how this process and its database do. It needs no database to be shown."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Self

from webapp import __version__
from webapp.live.changes import Changes, Touch
from webapp.live.difference import Entry, Partial, Snapshot
from webapp.live.hub import Hub
from webapp.live.pieces import Pieces
from webapp.operations.status_charts import latency_chart, rate_chart
from webapp.operations.vitals import MARK_S, MARKS, Vitals
from webapp.rendering import build

REFRESH_S = 2.0
QUEUE_LIMIT = 0.5  # above it writers announce nothing


@dataclass(frozen=True, slots=True)
class StatusView:
    """The state of the process that is asked; there is one view of it."""

    query: str = "status=1"
    url: str = "/status"


@dataclass(frozen=True, slots=True)
class Latency:
    """How long samples took: the median and the 99th percentile, in seconds, and how many there are."""

    median: float
    p99: float
    samples: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self | None:
        """Sum samples up; None without any."""
        if not seconds:
            return None
        percentiles = quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [seconds[0]] * 99
        return cls(percentiles[49], percentiles[98], len(seconds))


class StatusPage:
    """The source of the status page."""

    def __init__(self, vitals: Vitals, hub: Hub, pieces: Pieces) -> None:
        self._vitals = vitals
        self._hub = hub
        self._pieces = pieces
        self._view = hub.add_view(StatusView(), self)

    async def follow(self) -> None:
        """Show it afresh every few seconds, for ever, as long as somebody looks."""
        while True:
            await asyncio.sleep(REFRESH_S)
            self._view.touch()

    async def load(self, touch: Touch) -> Snapshot:  # noqa: ARG002
        """Render the state of now."""
        return self.render()

    def render(self) -> Snapshot:
        """Render the state of now."""
        now, past, samples = self._vitals.read(), self._vitals.past, self._hub.receipts.recent
        values = {
            "now": now,
            "rates": self._vitals.rates(now),
            "up_s": now.at - self._vitals.started_at,
            "database": self._vitals.database,
            "is_certain": self._hub.is_certain(),
            "latency": Latency.of([each.seconds for each in samples if now.at - each.at < MARKS * MARK_S]),
            "latency_chart": latency_chart(samples, now.at),
            "rate_chart": rate_chart(past, now.at),
            "queue_limit": QUEUE_LIMIT,
            "version": __version__,
            "pid": os.getpid(),
        }
        names = ("signs", "latency", "rate")
        return Snapshot(
            {}, {f"status-{each}": self._pieces.render(f"status/_{each}.html", **values) for each in names}, build()
        )

    def touched_by(self, changes: Changes) -> Touch:  # noqa: ARG002
        """It goes by the clock."""
        return Touch.NOTHING

    def highlight(self, entry: Entry, before: Entry | None) -> str:  # noqa: ARG002
        """Render an entry; it has no lists."""
        return entry.html

    def stub(self, entry: Entry) -> str:
        """Render what stands for an unchanged entry; it has no lists."""
        return self._pieces.stub("div", entry.id)

    def frame(self, partials: Iterable[Partial], revision: str) -> str:
        """Render a frame of the status page."""
        return self._pieces.frame(partials, "revision", "items/_revision.html", revision)
