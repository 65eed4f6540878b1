"""Waiting for conditions, never for seconds."""

import asyncio
import time
from collections.abc import Callable

import psycopg


def eventually(condition: Callable[[], object], within_s: float = 10) -> None:
    """Return as soon as the condition is true; fail if it never is."""
    ends_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends_at, "what was waited for did not happen"
        time.sleep(0.005)


async def until(condition: Callable[[], object], within_s: float = 10) -> None:
    """Do the same in a task, and let others run meanwhile."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - any condition, of whatever happens elsewhere
            await asyncio.sleep(0.005)


def waiting_for_locks(database: psycopg.Connection) -> int:
    """Return how many wait in a database; not in a transaction, where PostgreSQL would always say the same."""
    waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return database.execute(waiting.encode()).rowcount
