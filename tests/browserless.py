"""A page without a browser: it opens a view, resumes over a real WebSocket, and applies frames as htmx does."""

import asyncio
import html
import json
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.unit.htmx_model import Elements, apply, elements_of
from webapp.live.difference import Partial

PARTIAL = re.compile(r'<hx-partial hx-target="(.*?)" hx-swap="(.*?)">(.*?)</hx-partial>', re.DOTALL)
CELL = re.compile(r'<td data-field="(\w+)"[^>]*>(.*?)</td>', re.DOTALL)
TITLE = re.compile(r"<title>(.*?)</title>")
TAG = re.compile(r"<[^>]+>")


def unverified() -> ssl.SSLContext:
    """Return what speaks TLS with whoever answers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class Address(Protocol):
    """Where a server is."""

    url: str
    socket_url: str


class BrowserlessPage:
    """What one open page shows. `lists` holds the elements of #rows, #activity and #notices by id, in order."""

    def __init__(self, server: Address, query: str = "") -> None:
        self.query = query
        self.frames: list[str] = []
        self.beats = 0
        self.beat_at = float("-inf")
        self._server = server
        self.lists: dict[str, Elements] = {}
        self.single: dict[str, str] = {}
        self.title = ""

    async def open(self) -> None:
        """Load the page."""
        async with httpx.AsyncClient(verify=False) as client:  # loading certificates takes longer than the page
            response = await client.get(f"{self._server.url}/?{self.query}", timeout=20)
        response.raise_for_status()
        self._read_page(response.text)

    async def follow(self) -> None:
        """Stay connected for ever, as htmx does: resume at every connection."""
        while True:
            with suppress(OSError, WebSocketException):
                address = f"{self._server.socket_url}/live?{self.query}"
                tls = unverified() if address.startswith("wss:") else None
                async with connect(address, max_size=None, ssl=tls) as socket:
                    await self._resume(socket)
                    await self._receive(socket)
            await asyncio.sleep(0.02)

    def items(self) -> list[tuple[str, int]]:
        """Return name and quantity of each row shown, in order."""
        return [(each["name"], int(each["quantity"])) for each in self.rows()]

    def rows(self) -> list[dict[str, str]]:
        """Return the text of each field of each row shown, in order."""
        cells = (CELL.findall(element) for element in self.lists["rows"].values())
        return [{field: html.unescape(TAG.sub("", content)) for field, content in each} for each in cells]

    def text(self, element_id: str) -> str:
        """Return the text of a single element, such as "matches"."""
        return " ".join(html.unescape(TAG.sub(" ", self.single[element_id])).split())

    def _read_page(self, page: str) -> None:
        self.title = html.unescape("".join(TITLE.findall(page)[:1]))
        for name, tag in (("rows", "tbody"), ("activity", "ol"), ("notices", "ul")):
            found = re.search(rf'<{tag} id="{name}"[^>]*>(.*?)</{tag}>', page, re.DOTALL)
            assert found
            self.lists[name] = elements_of(found[1])
        for name, tag in (("matches", "p"), ("totals", "dl"), ("pager", "nav")):
            found = re.search(rf'<{tag} id="{name}".*?</{tag}>', page, re.DOTALL)
            assert found
            self.single[name] = found[0]
        for name in ("revision", "summary-revision"):
            found = re.search(rf'<input[^>]*id="{name}"[^>]*>', page)
            assert found
            self.single[name] = found[0]

    async def _resume(self, socket: ClientConnection) -> None:
        revisions = {"revision": self.value("revision"), "summary": self.value("summary-revision")}
        await socket.send(json.dumps({"type": "resume", **revisions, "headers": {}}))

    async def _receive(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for frame in socket:
                self._apply(str(frame))

    def _apply(self, frame: str) -> None:
        self.frames.append(frame)
        self.title = html.unescape((TITLE.findall(PARTIAL.sub("", frame)) or [self.title])[-1])
        partials = [Partial(*match) for match in PARTIAL.findall(frame)]
        assert TITLE.sub("", PARTIAL.sub("", frame)) == "", "a frame is made of partials and a title"
        for name, shown in self.lists.items():
            ours = [each for each in partials if each.target == f"#{name}" or each.target[1:] in shown]
            self.lists[name] = apply(name, shown, ours)
        for partial in partials:
            if partial.target[1:] in self.single:
                self.single[partial.target[1:]] = partial.html
            if partial.target == "#beat":
                self.beats += 1
                self.beat_at = time.monotonic()

    def value(self, element_id: str) -> str:
        """Return the value of a hidden field."""
        found = re.search(r'value="([^"]*)"', self.single[element_id])
        assert found
        return found[1]


@asynccontextmanager
async def open_page(server: Address, query: str = "") -> AsyncIterator[BrowserlessPage]:
    """Open a page and follow its view while the context lasts."""
    page = BrowserlessPage(server, query)
    await page.open()
    following = asyncio.create_task(page.follow())
    try:
        yield page
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
