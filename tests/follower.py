"""Follows the change feed in a test, and a proxy that spoils its connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from webapp.live.changes import Change, Changes, Event, Heard, Resync
from webapp.live.listener import Listener

APPLICATION = "listener of the test"


class Follower:
    """All that a listener has said so far."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.changes: list[Change] = []
        self.payloads: list[str] = []
        self.resyncs = 0
        self.untold_transactions = 0  # of the last resync
        self._news = asyncio.Event()

    async def until(self, condition: Callable[[], object], within_s: float = 20) -> None:
        """Return as soon as the condition is true; fail if it never is."""
        async with asyncio.timeout(within_s):
            while not condition():
                self._news.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.05)

    async def until_told(self, changes: int) -> None:
        """Return when at least so many changes have been told."""
        await self.until(lambda: len(self.changes) >= changes)

    async def until_heard(self, payloads: int) -> None:
        """Return when at least so many payloads have been heard."""
        await self.until(lambda: len(self.payloads) >= payloads)

    async def follow(self) -> None:
        async for event in self.listener.events():
            self._take(event)
            self._news.set()

    def names(self) -> list[str]:
        """Return the names that the items had after each change."""
        return [change.after.name if change.after else "" for change in self.changes]

    def _take(self, event: Event) -> None:
        match event:
            case Changes(changes):
                self.changes += changes
            case Heard(payloads):
                self.payloads.extend(payloads)
            case Resync(transactions):
                self.resyncs += 1
                self.untold_transactions = transactions


@asynccontextmanager
async def follow(url: str, *, watching: bool = True, **options: Any) -> AsyncIterator[Follower]:
    """Follow a database's changes from now on, while the context lasts."""
    follower = Follower(Listener(make_conninfo(url, application_name=APPLICATION), **options))
    if watching:
        follower.listener.enter()
    task = asyncio.create_task(follower.follow())
    try:
        await follower.until(lambda: follower.listener.is_certain(within_s=60) or task.done())
        yield follower
        assert not task.done(), f"the listener has ended: {task}"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Proxy:
    """Stands between a program and PostgreSQL as a bad network, or as a pooler that pools by transaction."""

    def __init__(self, url: str, *, is_pooler: bool = False) -> None:
        self._target = conninfo_to_dict(url)
        self._is_pooler = is_pooler
        self._flowing = asyncio.Event()
        self._pumps: set[asyncio.Task[None]] = set()
        self.flow()

    def freeze(self) -> None:
        """Forward nothing more, and tell neither side."""
        self._flowing.clear()

    def flow(self) -> None:
        """Forward again."""
        self._flowing.set()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Give the address that leads through the proxy."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        around = {"host": "127.0.0.1", "hostaddr": "127.0.0.1", "port": port}
        try:
            yield make_conninfo(**{**self._target, **around, "sslmode": "disable", "gssencmode": "disable"})
        finally:
            server.close()
            for pump in self._pumps:
                pump.cancel()
            await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _connect(self, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
        host, port = str(self._target.get("host") or "localhost"), int(self._target.get("port") or 5432)
        if host.startswith("/"):
            server_reader, server_writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            server_reader, server_writer = await asyncio.open_connection(host, port)
        answers = self._pump_messages if self._is_pooler else self._pump
        for work in (self._pump(client_reader, server_writer), answers(server_reader, client_writer)):
            pump = asyncio.create_task(work)
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._flowing.wait()
                target.write(data)
        except OSError:
            pass
        finally:
            target.close()

    async def _pump_messages(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Keep notifications back, as they go to whoever has the server's connection, and the process number."""
        try:
            while True:
                head = await source.readexactly(5)
                body = await source.readexactly(int.from_bytes(head[1:]) - 4)
                if head[:1] == b"K":
                    body = bytes(4) + body[4:]
                if head[:1] != b"A":
                    target.write(head + body)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            target.close()
