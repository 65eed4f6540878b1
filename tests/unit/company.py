"""Pages whose connections only keep what is written to them: no server, no database."""

import asyncio
from typing import cast
from zoneinfo import ZoneInfo

from tests.unit.shelf import Shelf, change, settled, snapshot
from tests.waiting import until
from webapp.live.broadcast import Broadcast
from webapp.live.changes import Changes
from webapp.live.live_view import LiveView
from webapp.live.page import Page
from webapp.live.pieces import Pieces
from webapp.live.receipts import Receipts
from webapp.postgres.pool import Pool
from webapp.rendering import Renderer
from webapp.sockets.client import Client, Frames
from webapp.stock.views import View


class Wire:
    """A connection that keeps what is written to it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.behind_since: float | None = None
        self.written: list[Frames] = []
        self.closed: tuple[int, str] | None = None
        client.connection = self

    def write(self, frames: Frames) -> None:
        assert self.behind_since is None, "it is behind"
        self.written.append(frames)

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self.client.lost()

    def drain(self) -> None:
        self.behind_since = None
        self.client.drained()

    @property
    def texts(self) -> list[str]:
        return [text for frames in self.written for text in frames.texts]


class Company:
    """What pages share; a beat is a number."""

    def __init__(self) -> None:
        self.broadcast = Broadcast()
        self.shelf = Shelf()
        self.view = LiveView(self.shelf, self.broadcast.wake)
        self.summary_shelf = Shelf()
        self.summary = LiveView(self.summary_shelf, self.broadcast.wake)
        self.beats = 0
        self.receipts = Receipts(cast("Pool", None), Pieces(Renderer(ZoneInfo("UTC"), "")))
        self.pages: set[Page] = set()

    def open_page(self) -> Wire:
        page = Page(self.broadcast, self, View(), (self.view, self.summary))
        self.pages.add(page)
        return Wire(page)

    def leave(self, page: Page) -> None:
        self.pages.discard(page)

    def beat_text(self) -> str:
        return f"beat {self.beats}"

    def version_text(self, *, is_old: bool) -> str:
        return f"[old: {is_old}]"

    def waiting_text(self, count: int | None) -> str:
        return f"waiting {count}"

    def beat(self) -> None:
        self.beats += 1
        self.broadcast.wake(self.pages)

    async def live_pages(self, count: int) -> list[Wire]:
        """Open pages that show all there is, and have heard so."""
        wires = [self.open_page() for _ in range(count)]
        for wire in wires:
            wire.client.hear(resume())
        await until(lambda: all(wire.written for wire in wires))
        for wire in wires:
            wire.written.clear()
            wire.client.not_before = 0.0
        return wires

    async def put(self, quantity: int) -> None:
        """Let the shelf hold a quantity, and the pages see it."""
        self.shelf.quantity = quantity
        self.view._next_refresh_at = 0.0
        self.view.hear(Changes((change(),)))
        await settled(self.view)


def resume() -> str:
    revision = snapshot(1).revision
    return f'{{"type": "resume", "revision": "{revision}", "summary": "{revision}"}}'


async def served(broadcast: Broadcast) -> None:
    """Wait until nobody is due."""
    await until(lambda: not broadcast._due and not broadcast._woken.is_set())
    for _ in range(3):
        await asyncio.sleep(0)
