"""Turns: how many views are read at the same time, and how often each; and how often a page gets a frame."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Histogram

INTERVAL_S = 0.125
BURST = 2
REFRESH_BUCKETS_S = (0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Turns:
    """After a bulk statement all views are due at once: half of the connections stay free for requests."""

    def __init__(self, connections: int) -> None:
        self._all = asyncio.Semaphore(max(1, connections // 2))
        self._beside = asyncio.Semaphore(1)
        self.refresh_time = Histogram(
            "live_inventory_refresh_seconds",
            "Time to read and render what a view shows.",
            buckets=REFRESH_BUCKETS_S,
            registry=None,
        )

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Read a view for which pages wait."""
        async with self._all:
            with self.refresh_time.time():
                yield

    @asynccontextmanager
    async def take_beside(self) -> AsyncIterator[None]:
        """Read something for which no page waits: one at a time."""
        async with self._beside, self._all:
            yield


def turn_after(turn_at: float, now: float) -> float:
    """Return when the next turn is, after one that was due at `turn_at` and is taken now, or then if that is to come.

    While it is calm, `BURST` turns follow at once, later ones every `INTERVAL_S`; the one moment is all that is kept of
    those before (the generic cell rate algorithm).
    """
    return max(turn_at, now - (BURST - 1) * INTERVAL_S) + INTERVAL_S
