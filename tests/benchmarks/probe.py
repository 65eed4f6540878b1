"""One page as a program sees it, and changes whose number can be recognised in whatever tells of them."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx
import psycopg
from websockets.asyncio.client import ClientConnection, connect

from tests.benchmarks.lab import Application

CALM_S = 0.5  # so far apart that a page is told each change at once
SETTLE_S = 1.0
_NUMBER = re.compile(r"@(\d+)@")
_ROW = re.compile(r'<tr id="item-(\d+)"')
_REVISION = r'id="{}"[^>]* value="([^"]*)"'
_KEYS = {"revision": "revision", "summary": "summary-revision"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A page that was loaded: how long it took, what its socket says first, and the item in its first row."""

    seconds: float
    hello: str
    item_id: int


async def open_page(application: Application, query: str = "") -> Opened:
    """Load a page as a browser does, but for what it links to."""
    async with httpx.AsyncClient(verify=False, timeout=60) as client:
        await client.get(f"{application.url}/healthz")  # the connection is there already
        started_at = time.perf_counter()
        response = await client.get(f"{application.url}/?{query}")
        seconds = time.perf_counter() - started_at
    response.raise_for_status()
    row = _ROW.search(response.text)
    assert row, f"no items on /?{query}"
    revisions = {name: _revision(response.text, key) for name, key in _KEYS.items()}
    return Opened(seconds, _hello(**revisions), int(row[1]))


def _hello(**revisions: str) -> str:
    return json.dumps({"type": "resume", **revisions, "headers": {}})


HELLO = _hello()  # of a page that shows nothing yet


def _revision(page: str, element_id: str) -> str:
    found = re.search(_REVISION.format(element_id), page)
    assert found
    return found[1]


class Writer:
    """Changes an item so that the change can be recognised: its unit becomes `@NUMBER@`, its quantity one more."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._numbers = count(1)

    def change(self, item_id: int) -> tuple[int, float]:
        """Commit a change; return its number and when the commit had returned (`time.time`)."""
        number = next(self._numbers)
        self._connection.execute(
            "UPDATE inventory SET unit = %s, quantity = quantity + 1 WHERE id = %s", [f"@{number}@", item_id]
        )
        return number, time.time()

    async def change_often(self, item_id: int, changes: int, pause_s: float = CALM_S) -> dict[int, float]:
        """Commit changes with pauses, and wait until the last one must have been told; return when each was."""
        committed = {}
        for _ in range(changes):
            await asyncio.sleep(pause_s)
            number, at = await asyncio.to_thread(self.change, item_id)
            committed[number] = at
        await asyncio.sleep(SETTLE_S)
        return committed

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


def delays_ms(committed_at: Mapping[int, float], seen_at: Mapping[int, float]) -> list[float]:
    """Return how long after its commit each change was seen, or a newer one in its place."""
    delays, newest = [], float("inf")
    for number in sorted({*committed_at, *seen_at}, reverse=True):
        newest = min(newest, seen_at.get(number, newest))
        if number in committed_at and newest < float("inf"):
            delays.append(max(0.0, newest - committed_at[number]) * 1000)
    return delays


@dataclass
class Watcher:
    """What comes through a page's socket: frames, those among them with rows, and when each change was first seen."""

    seen_at: dict[int, float] = field(default_factory=dict)
    frames: int = 0
    tables: int = 0

    async def read(self, socket: ClientConnection) -> None:
        """Read for ever."""
        async for frame in socket:
            now = time.time()
            self.frames += 1
            self.tables += 'id="revision"' in str(frame)
            for number in _NUMBER.findall(str(frame)):
                self.seen_at.setdefault(int(number), now)


@asynccontextmanager
async def watch(port: int, query: str, hello: str) -> AsyncIterator[Watcher]:
    """Follow a page's view while the context lasts."""
    watcher = Watcher()
    async with connect(f"ws://127.0.0.1:{port}/live?{query}", max_size=None) as socket:
        await socket.send(hello)
        reading = asyncio.create_task(watcher.read(socket))
        try:
            yield watcher
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
