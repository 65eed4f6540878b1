"""The courier: notifies on behalf of all writers while it is busy, so that they need not queue for it.

Every process has one; two advisory locks of the database say which of them is at work (the migration that made them
explains). Nothing depends on it but how soon is heard what happened: a listener reads the log anyway.
"""

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress

import psycopg
from psycopg.rows import DictRow

from webapp.live.changes import Changes, Event, Resync
from webapp.live.feed import DedicatedConnection, pause_s, raise_if_cancelled
from webapp.text import first_line

logger = logging.getLogger(__name__)

# A rush is so many transactions within so long: 160 a second. It is calm again below a lower rate, for a while, so
# that a steady rate does not go back and forth.
RUSH_TRANSACTIONS = 8
RUSH_WITHIN_S = 0.05
CALM_BELOW_PER_S = 100
CALM_FOR_S = 0.5

ROUND_S = 0.008
LONGEST_ROUND_S = 0.25  # where a long transaction holds up the hand-over
MOST_PAYLOADS = 1_000
RETRY_S = 0.25  # where another process is at work
LOOK_S = 1.0
SILENCE_LIMIT_S = 3.0  # then the server takes the locks of a frozen process away
ANSWER_LIMIT_S = 2.0


class Courier:
    """Watches how busy it is, and becomes the one courier of the database where it is needed."""

    def __init__(
        self,
        conninfo: str,
        *,
        rush_transactions: int = RUSH_TRANSACTIONS,
        calm_for_s: float = CALM_FOR_S,
        answer_limit_s: float = ANSWER_LIMIT_S,
        silence_limit_s: float = SILENCE_LIMIT_S,
    ) -> None:
        self.is_busy = False
        self._conninfo = conninfo
        self._calm_for_s = calm_for_s
        self._answer_limit_s = answer_limit_s
        self._silence_limit_s = silence_limit_s
        self._cursor = ""
        self._kept_at = 0.0
        self._rush_transactions = rush_transactions
        self._recent: deque[float] = deque(maxlen=rush_transactions)
        self._heard_at = float("-inf")
        self._rush = asyncio.Event()

    def hear(self, event: Event) -> None:
        """Count the transactions that the listener tells of; those it tells together came since it told of others."""
        if isinstance(event, Resync) and event.transactions >= self._rush_transactions:
            self._rush.set()  # too much to be told one by one, and not of a few
        if not isinstance(event, Changes):
            return
        now = time.monotonic()
        count = len({change.xid for change in event.changes})
        apart_s = min(now - self._heard_at, LOOK_S) / count
        self._recent.extend(now - apart_s * later for later in reversed(range(count)))
        self._heard_at = now
        if len(self._recent) == self._recent.maxlen and now - self._recent[0] <= RUSH_WITHIN_S:
            self._rush.set()

    async def run(self) -> None:
        """Be there for ever, through every fault of the server and the network; return only where a pooler stands."""
        failures = 0
        while True:
            began_at = time.monotonic()
            try:
                async with DedicatedConnection.open(self._conninfo, self._answer_limit_s) as connection:
                    if not await connection.make_own():
                        logger.warning("no courier: behind a pooler it has no lock of its own; writers ring themselves")
                        return
                    await connection.query("courier_tune", silence_ms=round(self._silence_limit_s * 1000))
                    await self._watch(connection)
            except (psycopg.Error, OSError) as error:
                raise_if_cancelled()
                failures = 1 if time.monotonic() - began_at > LOOK_S else failures + 1
                if failures.bit_count() == 1:
                    logger.warning("courier interrupted: %s", first_line(error))
            finally:
                self.is_busy = False
            await asyncio.sleep(pause_s(failures))

    async def _watch(self, connection: DedicatedConnection) -> None:
        """Take the seat when there is a rush, or where a courier left it with its work undone."""
        while True:
            is_rush = self._rush.is_set()
            self._rush.clear()
            if (await connection.query("courier_seat", is_busy=is_rush))[0]["taken"]:
                await self._work(connection)
            elif is_rush:
                await asyncio.sleep(RETRY_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._rush.wait()

    async def _work(self, connection: DedicatedConnection) -> None:
        """Announce for all until it is calm again, and leave the seat with nothing owed."""
        self._cursor = (await connection.query("courier_promise"))[0]["cursor"]
        self._kept_at = time.monotonic()
        while True:
            if await self._hush(connection):
                self.is_busy = True
                await self._announce_while_busy(connection)
                self._rush.clear()
                await connection.query("courier_unhush")
                self.is_busy = False
            if await self._hand_over(connection):
                break
        await connection.query("courier_done")
        await connection.query("courier_leave")

    async def _hush(self, connection: DedicatedConnection) -> bool:
        """Make writers hold still; a writer's look, which takes a microsecond, may be in the way, or a stranger."""
        for _ in range(round(RETRY_S / ROUND_S)):
            if (await connection.query("courier_hush"))[0]["hushed"]:
                return True
            await asyncio.sleep(ROUND_S)
        self._rush.clear()
        return False

    async def _announce_while_busy(self, connection: DedicatedConnection) -> None:
        since, transactions = time.monotonic(), 0
        while True:
            began_at = time.monotonic()
            if (elapsed_s := began_at - since) >= self._calm_for_s:
                if transactions < CALM_BELOW_PER_S * elapsed_s:
                    return
                since, transactions = began_at, 0
            transactions += (await self._round(connection))["transactions"]
            await asyncio.sleep(began_at + ROUND_S - time.monotonic())

    async def _hand_over(self, connection: DedicatedConnection) -> bool:
        """Announce what writers who had looked before left to the courier; return false if there is a rush again.

        Writers ring by themselves again, so a round may come behind a newer word on the same item: a last one that
        finds nothing to say can not.
        """
        barrier = (await connection.query("courier_barrier"))[0]["barrier"]
        wait_s = ROUND_S
        while not self._rush.is_set():
            found = await self._round(connection, barrier)
            if found["is_past"] and not found["messages"]:
                return True
            wait_s = ROUND_S if found["is_past"] else min(2 * wait_s, LONGEST_ROUND_S)
            await asyncio.sleep(wait_s)
        return False

    async def _round(self, connection: DedicatedConnection, barrier: str | None = None) -> DictRow:
        """Announce what has come since the last round."""
        found = (await connection.query("courier_round", cursor=self._cursor, barrier=barrier, limit=MOST_PAYLOADS))[0]
        self._cursor = found["cursor"]
        if time.monotonic() - self._kept_at >= LOOK_S:
            self._kept_at = time.monotonic()
            await connection.query("courier_keep", cursor=self._cursor)
        return found
