"""The vital signs of this process: the state of its parts, read when somebody asks, and its recent past."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass

import psycopg

from webapp.live.courier import Courier
from webapp.live.hub import Hub
from webapp.postgres.pool import Pool
from webapp.postgres.statements import read
from webapp.rendering import Renderer

ASK_DATABASE_EVERY_S = 60.0
MARK_S = 5.0  # so far apart are the readings that are kept
MARKS = 120
COUNTED = ("changes", "frames", "frame_bytes", "passed_over", "postponed")


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What the database says of itself; the use of its NOTIFY queue from 0 to 1. None: it does not answer."""

    notify_queue_use: float | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The parts' state at a moment (`time.monotonic`). What is counted is counted since the start of the process."""

    at: float
    feed_lag_s: float
    changes: int
    resyncs: int
    pages: int
    programs: int
    views_watched: int
    views_kept: int
    frames: int
    frame_bytes: int
    renders: int
    passed_over: int
    postponed: int
    receipts_asked: int
    receipts_refused: int
    courier_is_busy: bool
    pool_in_use: int
    pool_idle: int
    pool_waiting: int


class Vitals:
    """Reads the parts; it does so now and then by itself, so that a chart has a past when somebody looks."""

    def __init__(self, pool: Pool, hub: Hub, courier: Courier, renderer: Renderer) -> None:
        self._pool = pool
        self._hub = hub
        self._courier = courier
        self._renderer = renderer
        self.started_at = time.monotonic()
        self.database = DatabaseState()
        self.past: deque[Reading] = deque(maxlen=MARKS)

    def read(self) -> Reading:
        """Read the parts."""
        hub, broadcast, pool = self._hub, self._hub.broadcast, self._pool.get_stats()
        views_watched, views_kept = hub.count_views()
        return Reading(
            at=time.monotonic(),
            feed_lag_s=hub.lag_s,
            changes=hub.changes,
            resyncs=hub.resyncs,
            pages=hub.open_pages,
            programs=len(hub.payloads.readers),
            views_watched=views_watched,
            views_kept=views_kept,
            frames=broadcast.frames,
            frame_bytes=broadcast.bytes,
            renders=self._renderer.renders,
            passed_over=broadcast.passed_over,
            postponed=broadcast.postponed,
            receipts_asked=hub.receipts.asked,
            receipts_refused=hub.receipts.refused,
            courier_is_busy=self._courier.is_busy,
            pool_in_use=pool["pool_size"] - pool["pool_available"],
            pool_idle=pool["pool_available"],
            pool_waiting=pool["requests_waiting"],
        )

    def rates(self, now: Reading) -> dict[str, float]:
        """Return how much everything that is counted grew in a second, over the last five to ten."""
        before = self.past[max(-2, -len(self.past))] if self.past else now
        elapsed_s = max(now.at - before.at, MARK_S)
        return {name: (getattr(now, name) - getattr(before, name)) / elapsed_s for name in COUNTED}

    async def keep(self) -> None:
        """Keep the recent past, for ever."""
        while True:
            self.past.append(self.read())
            await asyncio.sleep(MARK_S)

    async def watch_database(self) -> None:
        """Ask the database for its state every minute, for ever; that also frees its NOTIFY queue of what was heard."""
        while True:
            try:
                self.database = DatabaseState(**(await read(self._pool, "database_state"))[0])
            except (psycopg.Error, OSError):
                self.database = DatabaseState(version=self.database.version)
            await asyncio.sleep(ASK_DATABASE_EVERY_S)
