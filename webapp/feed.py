"""The feed's connection while it lasts: bounded waits, and a hint when its socket has something to read."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import psycopg
from psycopg.rows import DictRow

from webapp.database import hang_up_after
from webapp.queries import QUERIES

CHANNEL = "messages_channel"


class FeedConnection:
    """A connection that listens, and loses itself rather than wait for a silent server."""

    def __init__(self, connection: psycopg.AsyncConnection[DictRow], answer_limit_s: float) -> None:
        self._connection = connection
        self._answer_limit_s = answer_limit_s
        self._payloads: list[str] = []
        self._hinted = asyncio.Event()
        connection.add_notify_handler(self._hear)

    async def listen(self) -> bool:
        """Start to hear; return whether the connection is our own, all the way to the server."""
        answers = (await self.query("backend_pid"))[0]["backend_pid"]
        is_own = bool(answers == self._connection.info.backend_pid)
        if is_own:  # through a pooler, settings and prepared statements would be other programs' too
            await self.query("tune", limit_ms=round(self._answer_limit_s * 750))
            self._connection.prepare_threshold = 0
        await self._execute(f"LISTEN {CHANNEL}".encode())
        return is_own

    async def query(self, name: str, **parameters: object) -> list[DictRow]:
        """Run a named query; a server that does not answer in time loses the connection."""
        cursor = await self._execute(QUERIES[name], parameters)
        return await cursor.fetchall()

    def take_payloads(self) -> list[str]:
        """Return the notifications heard since the last call."""
        taken, self._payloads = self._payloads, []
        return taken

    def hint(self) -> None:
        """End the wait for a hint that is on, or else the next one."""
        self._hinted.set()

    async def wait_for_hint(self, timeout_s: float) -> None:
        """Return at the first notification, or after the time of the safety poll."""
        self._drain()  # what came right behind the last answer is read already, and the socket would not tell
        if self._payloads:
            return
        loop, descriptor = asyncio.get_running_loop(), self._connection.fileno()
        loop.add_reader(descriptor, self.hint)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hinted.wait(), timeout_s)
        finally:
            loop.remove_reader(descriptor)
            self._hinted.clear()
        self._drain()

    def _drain(self) -> None:
        libpq = self._connection.pgconn
        libpq.consume_input()
        while notification := libpq.notifies():
            if notification.relname == CHANNEL.encode():
                self._payloads.append(notification.extra.decode("utf-8", "replace"))

    def _hear(self, notification: psycopg.Notify) -> None:
        if notification.channel == CHANNEL:  # a pooler's connection may hear what others listen to
            self._payloads.append(notification.payload)

    async def _execute(
        self, statement: bytes, parameters: Mapping[str, object] | None = None
    ) -> psycopg.AsyncCursor[DictRow]:
        with hang_up_after(self._connection, self._answer_limit_s):
            return await self._connection.execute(statement, parameters)
