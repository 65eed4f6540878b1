"""Removes history that is older than it shall be kept, a little at a time, so that nobody waits for it."""

import asyncio
import logging
import random
from datetime import UTC, datetime, timedelta

import psycopg

from webapp.postgres.pool import Pool
from webapp.postgres.statements import execute, fetch_all, read
from webapp.text import first_line

logger = logging.getLogger(__name__)

ROUND_S = 600.0
GRACE_S = 60.0  # longer than any reading of the log takes
AT_A_TIME = 2_000
PAUSE_S = 0.05


class Pruner:
    """Every process may have one; they take turns. Readers whose cursors are too old start anew."""

    def __init__(self, pool: Pool, history_days: int, *, grace_s: float = GRACE_S) -> None:
        self._pool = pool
        self._kept = timedelta(days=history_days)
        self._grace_s = grace_s

    async def run(self) -> None:
        """Remove what gets too old, for ever."""
        while True:
            await asyncio.sleep(random.uniform(0.5, 1) * ROUND_S)  # noqa: S311 - not all processes at once
            try:
                await self.prune()
            except psycopg.Error as error:
                logger.warning("old history was not removed: %s", first_line(error))

    async def prune(self) -> int:
        """Remove what was found to be too old before, note what is so now; return how many changes were removed."""
        before = datetime.now(UTC) - self._kept
        (row,) = await read(self._pool, "id_at", at=before)
        old = {"before": before, "from_id": row["id"]}
        removed = 0
        while found := await self._prune_some(old):
            removed += found
            await asyncio.sleep(PAUSE_S)
        await execute(self._pool, "move_horizon", **old)
        return removed

    async def _prune_some(self, old: dict[str, object]) -> int:
        limits = {"limit": AT_A_TIME, "grace_s": self._grace_s}
        return int((await fetch_all(self._pool, "prune", **old, **limits))[0]["removed"])
