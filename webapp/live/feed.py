"""Connections of the feed's own while they last: bounded waits, and a hint when there is something to read."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Self

import psycopg
from psycopg.rows import DictRow, dict_row

from webapp.postgres.pool import hang_up_after
from webapp.postgres.queries import QUERIES

CHANNEL = "messages_channel"
ACCOUNTS_CHANNEL = "inventory_accounts"
LONGEST_PAUSE_S = 5.0
MOST_READS = 20


class DedicatedConnection:
    """A connection that loses itself rather than wait for a silent server."""

    def __init__(self, connection: psycopg.AsyncConnection[DictRow], answer_limit_s: float) -> None:
        self._connection = connection
        self._answer_limit_s = answer_limit_s

    @classmethod
    @asynccontextmanager
    async def open(cls, conninfo: str, answer_limit_s: float) -> AsyncIterator[Self]:
        """Connect while the context lasts. Raises `psycopg.Error` or `OSError`, now and at every use."""
        connection = await psycopg.AsyncConnection[DictRow].connect(
            conninfo,
            autocommit=True,
            row_factory=dict_row,
            prepare_threshold=None,
            client_encoding="utf8",
            connect_timeout=5,
        )
        try:
            yield cls(connection, answer_limit_s)
        finally:
            with suppress(psycopg.Error, OSError):
                await connection.close()

    async def make_own(self) -> bool:
        """Return whether the connection is our own, all the way to the server; only then is it set up as such."""
        answers = (await self.query("backend_pid"))[0]["backend_pid"]
        is_own = bool(answers == self._connection.info.backend_pid)
        if is_own:  # through a pooler, settings and prepared statements would be other programs' too
            await self.query("tune", limit_ms=round(self._answer_limit_s * 750))
            self._connection.prepare_threshold = 0
        return is_own

    async def query(self, name: str, **parameters: object) -> list[DictRow]:
        """Run a named query; a server that does not answer in time loses the connection."""
        cursor = await self._execute(QUERIES[name], parameters)
        return await cursor.fetchall()

    async def _execute(
        self, statement: bytes, parameters: Mapping[str, object] | None = None
    ) -> psycopg.AsyncCursor[DictRow]:
        with hang_up_after(self._connection, self._answer_limit_s):
            return await self._connection.execute(statement, parameters)


class FeedConnection(DedicatedConnection):
    """A connection that listens."""

    def __init__(self, connection: psycopg.AsyncConnection[DictRow], answer_limit_s: float) -> None:
        super().__init__(connection, answer_limit_s)
        self._payloads: list[str] = []
        self._accounts_changed = False
        self.is_hinted = False  # something that was said may be of a change
        self.is_asked = False  # somebody wants the log to be read
        self._woken = asyncio.Event()
        connection.add_notify_handler(self._hear)

    async def listen(self) -> bool:
        """Start to hear; return whether the connection is our own, all the way to the server."""
        is_own = await self.make_own()
        for channel in (CHANNEL, ACCOUNTS_CHANNEL):
            await self._execute(f"LISTEN {channel}".encode())
        return is_own

    def take_payloads(self) -> list[str]:
        """Return the notifications heard since the last call."""
        taken, self._payloads = self._payloads, []
        return taken

    def take_accounts_changed(self) -> bool:
        """Return whether accounts have changed since the last call."""
        taken, self._accounts_changed = self._accounts_changed, False
        return taken

    def ask(self) -> None:
        """Say that the log is to be read now, and end the wait that is on, or else the next one."""
        self.is_asked = True
        self._woken.set()

    async def rest(self, for_s: float) -> None:
        """Do nothing for a while, or until somebody asks; then take what was said.

        A server that cannot send it waits in a transaction, and VACUUM for that.
        """
        await self._until_woken(for_s)
        for _ in range(MOST_READS):
            if not self._drain():
                break
            await asyncio.sleep(0)

    async def wait(self, timeout_s: float) -> None:
        """Return at the first notification, when somebody asks, or after a time."""
        self._drain()  # what came right behind the last answer is read already, and the socket would not tell
        if self._payloads or self._accounts_changed:
            await asyncio.sleep(0)  # however much is said, everything else has its turn
        else:
            loop, descriptor = asyncio.get_running_loop(), self._connection.fileno()
            loop.add_reader(descriptor, self._woken.set)
            try:
                await self._until_woken(timeout_s)
            finally:
                loop.remove_reader(descriptor)
            self._drain()

    async def _until_woken(self, timeout_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):  # wait_for() may lose a cancellation that comes with the hint
                await self._woken.wait()
        self._woken.clear()

    def _drain(self) -> bool:
        """Take what was said, a few kilobytes of it; return whether there was something."""
        libpq = self._connection.pgconn
        libpq.consume_input()
        notification = first = libpq.notifies()
        while notification:
            self._note(notification.relname.decode(), notification.extra.decode("utf-8", "replace"))
            notification = libpq.notifies()
        return first is not None

    def _hear(self, notification: psycopg.Notify) -> None:
        self._note(notification.channel, notification.payload)

    def _note(self, channel: str, payload: str) -> None:
        """Keep what is for us; a pooler's connection may hear what others listen to."""
        if channel == CHANNEL:
            self._payloads.append(payload)
            self.is_hinted |= is_of_a_change(payload)
        elif channel == ACCOUNTS_CHANNEL:
            self._accounts_changed = True


def is_of_a_change(payload: str) -> bool:
    """Whether a payload can be of a trigger or of the courier; in doubt it is, for others can write what they like.

    To parse each would be much of the work of a busy process.
    """
    return payload.startswith("{") and '"op": "' in payload and '"change": ' in payload


def raise_if_cancelled() -> None:
    """Let a cancellation go on where the connection was lost over it, so that psycopg's error stands in its place."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def pause_s(failures: int) -> float:
    """Return how long to wait before connecting again; at random, so that not all processes come at once."""
    return random.uniform(0, min(0.05 * 2 ** min(failures, 10), LONGEST_PAUSE_S))  # noqa: S311
