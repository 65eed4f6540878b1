"""One LISTEN connection: notifications wake it, the change log tells it what happened."""

import asyncio
import logging
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg
from psycopg.rows import DictRow, dict_row

from webapp.changes import Change, Changes, Event, Heard, Resync
from webapp.queries import QUERIES

logger = logging.getLogger(__name__)

CHANNEL = "messages_channel"
SAFETY_POLL_S = 1.0
ANSWER_LIMIT_S = 4.0
MAX_CHANGES = 5_000
LONGEST_PAUSE_S = 5.0


class Listener:
    """Yields what happens to the inventory for ever, through every fault of the server and the network.

    Notifications only say when to look. What happened is read from the log with a snapshot as cursor, which
    cannot skip a transaction that commits late: https://www.postgresql.org/docs/current/functions-info.html
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._epoch: str | None = None
        self._cursor: str | None = None
        self.certain_at = float("-inf")

    def is_certain(self, within_s: float) -> bool:
        """Whether the log was read successfully in the last `within_s` seconds."""
        return time.monotonic() - self.certain_at <= within_s

    async def events(self) -> AsyncIterator[Event]:
        """Yield events; each committed change exactly once, unless `Resync` stands for it."""
        failures = 0
        while True:
            try:
                async for event in self._events_of_one_connection():
                    failures = 0
                    yield event
            except (psycopg.Error, OSError) as error:
                failures += 1
                logger.warning("change feed interrupted: %s", str(error).strip().partition("\n")[0])
            await asyncio.sleep(random.uniform(0, min(0.05 * 2**failures, LONGEST_PAUSE_S)))  # noqa: S311

    async def _events_of_one_connection(self) -> AsyncIterator[Event]:
        connection = await psycopg.AsyncConnection[DictRow].connect(
            self._conninfo, autocommit=True, row_factory=dict_row, prepare_threshold=0
        )
        try:
            feed = _Connected(connection)
            await feed.listen()
            async for event in self._read(feed):
                yield event
        finally:
            with suppress(psycopg.Error, OSError):
                await connection.close()

    async def _read(self, feed: "_Connected") -> AsyncIterator[Event]:
        if await self._enter_epoch(feed):
            yield Resync()
        while True:
            for payload in feed.take_payloads():
                yield Heard(payload)
            event = await self._look(feed)
            self.certain_at = time.monotonic()
            if event is not None:
                yield event
            await feed.wait_for_hint(SAFETY_POLL_S)

    async def _enter_epoch(self, feed: "_Connected") -> bool:
        """Return whether the cursor starts anew, because it belongs to another history or there is none."""
        epoch = (await feed.query("current_epoch"))[0]["epoch"]
        if self._cursor is not None and epoch == self._epoch:
            return False
        self._epoch, self._cursor = epoch, (await feed.query("first_cursor"))[0]["cursor"]
        return True

    async def _look(self, feed: "_Connected") -> Event | None:
        """Read what the cursor has not seen, and move it on."""
        rows = await feed.query("changes_since", cursor=self._cursor, limit=MAX_CHANGES + 1)
        if rows[0]["epoch"] != self._epoch:
            self._cursor = None
            raise psycopg.OperationalError("the database was restored or recovered")
        self._cursor = rows[0]["cursor"]
        if len(rows) > MAX_CHANGES:
            return Resync()
        changes = tuple(Change.from_row(row) for row in rows if row["id"] is not None)
        return Changes(changes) if changes else None


class _Connected:
    """The connection while it lasts: bounded waits, and a hint when its socket has something to read."""

    def __init__(self, connection: psycopg.AsyncConnection[DictRow]) -> None:
        self._connection = connection
        self._payloads: list[str] = []
        connection.add_notify_handler(lambda notification: self._payloads.append(notification.payload))

    async def listen(self) -> None:
        """Start to hear, and plan for an index on a log whose statistics lag behind."""
        for statement in (
            f"LISTEN {CHANNEL}".encode(),
            b"SET enable_seqscan = off",
            b"SET max_parallel_workers_per_gather = 0",
            b"SET jit = off",
        ):
            await self._execute(statement)

    async def query(self, name: str, **parameters: object) -> list[DictRow]:
        """Run a named query; a server that does not answer in time loses the connection."""
        cursor = await self._execute(QUERIES[name], parameters)
        return await cursor.fetchall()

    def take_payloads(self) -> list[str]:
        """Return the notifications heard since the last call."""
        taken, self._payloads[:] = list(self._payloads), []
        return taken

    async def wait_for_hint(self, timeout_s: float) -> None:
        """Return at the first notification, or after the time of the safety poll."""
        readable = asyncio.Event()
        loop, descriptor = asyncio.get_running_loop(), self._connection.fileno()
        loop.add_reader(descriptor, readable.set)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(readable.wait(), 0 if self._payloads else timeout_s)
        finally:
            loop.remove_reader(descriptor)
        self._drain()

    def _drain(self) -> None:
        libpq = self._connection.pgconn
        libpq.consume_input()
        while notification := libpq.notifies():
            self._payloads.append(notification.extra.decode("utf-8", "replace"))

    async def _execute(
        self, statement: bytes, parameters: Mapping[str, object] | None = None
    ) -> psycopg.AsyncCursor[DictRow]:
        with self._hang_up_after(ANSWER_LIMIT_S):
            return await self._connection.execute(statement, parameters)

    @contextmanager
    def _hang_up_after(self, limit_s: float) -> Iterator[None]:
        """Shut the socket down when time is up: a cancelled query would first ask the silent server to agree."""
        duplicate = socket.socket(fileno=os.dup(self._connection.fileno()))
        timer = asyncio.get_running_loop().call_later(limit_s, duplicate.shutdown, socket.SHUT_RDWR)
        try:
            yield
        finally:
            timer.cancel()
            duplicate.close()
