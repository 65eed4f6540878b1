"""Lets deep pages be counted off in an index alone, although the rows change all the time.

PostgreSQL believes an index about rows only where VACUUM has been since they changed. Autovacuum counts dead rows, of
which updates that find room on their page leave none.
"""

import asyncio
import logging
import random

import psycopg

from webapp.postgres.pool import Pool
from webapp.postgres.statements import execute, fetch_all
from webapp.text import first_line

logger = logging.getLogger(__name__)

ROUND_S = 300.0


class Vacuum:
    """Every process has one; those that come second find nothing to do, or the first at it and leave it alone."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._written = 0

    async def run(self) -> None:
        """Vacuum now and then, for ever."""
        while True:
            await asyncio.sleep(random.uniform(0.5, 1) * ROUND_S)  # noqa: S311 - not all processes at once
            try:
                await self.vacuum()
            except psycopg.Error as error:
                logger.info("the inventory was not vacuumed: %s", first_line(error))

    async def vacuum(self) -> bool:
        """Vacuum the inventory; return false if it has not changed since the last time. Raises `psycopg.Error`."""
        (statistics,) = await fetch_all(self._pool, "inventory_written")
        if statistics["written"] == self._written:
            return False
        await execute(self._pool, "vacuum_inventory")
        self._written = statistics["written"]
        return True
