"""One LISTEN connection: notifications wake it, the change log tells it what happened."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Self

import psycopg

from webapp.live.changes import AccountsChanged, Change, Changes, Event, Heard, Resync
from webapp.live.feed import FeedConnection, pause_s, raise_if_cancelled
from webapp.text import first_line

logger = logging.getLogger(__name__)

SAFETY_POLL_S = 1.0
ANSWER_LIMIT_S = 4.0
MAX_CHANGES = 5_000
MAX_UNWATCHED = 100  # more are not worth reading: a count of the items does as well
# While it is busy there is something to read every few milliseconds. Each look costs as much as twenty changes, and no
# page is told more often than it can show. While nobody watches, the rests grow up to the safety poll: what is too much
# to be told one by one then need not be read.
MANY_CHANGES = 8
REST_S = 0.02


class Listener:
    """Yields what happens to the inventory for ever, through every fault of the server and the network.

    Notifications only say when to look. What happened is read from the log with a snapshot as cursor, which
    cannot skip a transaction that commits late: https://www.postgresql.org/docs/current/functions-info.html
    """

    def __init__(
        self,
        conninfo: str,
        *ears: Callable[[Event], None],
        safety_poll_s: float = SAFETY_POLL_S,
        answer_limit_s: float = ANSWER_LIMIT_S,
    ) -> None:
        """Each of the `ears` hears every event too, before it is yielded."""
        self._conninfo = conninfo
        self._ears = ears
        self._safety_poll_s = safety_poll_s
        self._answer_limit_s = answer_limit_s
        self._epoch: str | None = None
        self._cursor: str | None = None
        self._warned_of_pooler = False
        self.certain_at = float("-inf")
        self._feed: FeedConnection | None = None
        self._told = asyncio.Event()
        self._told_at = float("-inf")
        self.watchers = 0
        self._rest_s = REST_S

    def enter(self) -> Self:
        """Let somebody watch until they `leave`: what happens is told at once, also while a lot does."""
        self.watchers += 1
        if self.watchers == 1:
            self._ask()
        return self

    def leave(self) -> None:
        """Take note that one of them watches no more."""
        self.watchers -= 1

    @property
    def lag_s(self) -> float:
        """How long ago the moment is up to which all that was committed has been told; infinite before the first."""
        return time.monotonic() - self.certain_at

    def is_certain(self, within_s: float) -> bool:
        """Whether all that was committed up to a moment in the last `within_s` seconds has been told."""
        return self.lag_s <= within_s

    async def catch_up(self, within_s: float) -> bool:
        """Look at once, not at the next hint; return whether all that is committed now was told within a time."""
        asked_at = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._told_at < asked_at:
                    self._ask()
                    await self._told.wait()
                return True
        return False

    def _ask(self) -> None:
        if self._feed is not None:
            self._feed.ask()

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield events; each committed change exactly once, unless `Resync` stands for it."""
        failures = 0
        while True:
            certain_at = self.certain_at
            try:
                async with aclosing(self._events_of_one_connection()) as events:
                    async for event in events:
                        for hear in self._ears:
                            hear(event)
                        yield event
            except (psycopg.Error, OSError) as error:
                raise_if_cancelled()
                failures = 1 if self.certain_at > certain_at else failures + 1
                if failures.bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...: a server that is away fills no log
                    logger.warning("change feed interrupted: %s", first_line(error))
            await asyncio.sleep(pause_s(failures))

    async def _events_of_one_connection(self) -> AsyncGenerator[Event, None]:
        async with FeedConnection.open(self._conninfo, self._answer_limit_s) as feed:
            if not await feed.listen() and not self._warned_of_pooler:
                self._warned_of_pooler = True
                logger.warning(
                    "A pooler stands before the database. If it pools by transaction, changes show up to %.0f s late;"
                    " set LISTEN_DATABASE_URL to the address of PostgreSQL itself.",
                    self._safety_poll_s,
                )
            async with aclosing(self._read(feed)) as events:
                async for event in events:
                    yield event

    async def _read(self, feed: FeedConnection) -> AsyncGenerator[Event, None]:
        if await self._enter_epoch(feed):
            yield Resync()
        self._feed = feed
        look_at = rests_until = float("-inf")
        while True:
            if payloads := feed.take_payloads():
                yield Heard(payloads)
            if feed.take_accounts_changed():
                yield AccountsChanged()
            now = time.monotonic()
            if feed.is_asked or now >= look_at or (feed.is_hinted and now >= rests_until):
                look_at = now + self._safety_poll_s
                event = await self._look(feed)
                self.certain_at = now
                if event is not None:
                    yield event
                self._told_at = now
                self._told.set()
                self._told = asyncio.Event()
                rests_until = time.monotonic() + self._rest_after(event)
            if (rest_s := rests_until - time.monotonic()) > 0:
                await feed.rest(min(rest_s, REST_S))
            else:
                await feed.wait(look_at - time.monotonic())

    def _rest_after(self, told: Event | None) -> float:
        """Return for how long changes are to gather, if there are many; each time longer while nobody watches."""
        found_many = isinstance(told, Resync) or (isinstance(told, Changes) and len(told.changes) >= MANY_CHANGES)
        is_free = found_many and not self.watchers
        self._rest_s = min(4 * self._rest_s, self._safety_poll_s) if is_free else REST_S
        return self._rest_s if found_many else 0

    async def _enter_epoch(self, feed: FeedConnection) -> bool:
        """Return whether the cursor starts anew, because it belongs to another history or there is none."""
        while not (await feed.query("settle_epoch"))[0]["settled"]:
            pass
        position = (await feed.query("position"))[0]
        if self._cursor is not None and position["epoch"] == self._epoch:
            return False
        self._epoch, self._cursor = position["epoch"], position["cursor"]
        return True

    async def _look(self, feed: FeedConnection) -> Event | None:
        """Read what the cursor has not seen, and move it on."""
        feed.is_asked = feed.is_hinted = False
        most = MAX_CHANGES if self.watchers else MAX_UNWATCHED
        rows = await feed.query("changes_since", cursor=self._cursor, limit=most + 1)
        if any(row["epoch"] is None or row["epoch"] != self._epoch for row in rows):
            self._cursor = None
            raise psycopg.OperationalError(
                "the log does not tell what happened: the database was restored or recovered, what was to be read is"
                " too old to be kept, or not everything is logged (the doctor says more)"
            )
        self._cursor = rows[0]["cursor"]
        if len(rows) > most:
            return Resync(len({row["xid"] for row in rows}))
        changes = tuple(Change.from_row(row) for row in rows if row["id"] is not None)
        return Changes(changes) if changes else None
