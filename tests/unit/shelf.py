"""A source for live views whose truth a test sets, and pages that watch it: no database."""

import asyncio
from collections.abc import Iterable

from tests.unit.htmx_model import row, stub
from webapp.live.changes import Change, Changes, Touch
from webapp.live.difference import Entry, Partial, Snapshot
from webapp.live.live_view import Cursor, LiveView


class Shelf:
    """A source whose truth a test sets, and whose queries a test can hold up."""

    def __init__(self) -> None:
        self.quantity = 1
        self.loads = 0
        self.running = 0
        self.most_running = 0
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []

    async def load(self, touch: Touch) -> Snapshot:
        self.loads += 1
        self.running += 1
        self.started.set()
        self.most_running = max(self.most_running, self.running)
        seen = self.quantity
        await self.gate.wait()
        self.running -= 1
        if self.failures:
            raise self.failures.pop(0)
        return snapshot(seen)

    def touched_by(self, changes: Changes) -> Touch:
        return Touch.ALL if any(change.operation == "update" for change in changes.changes) else Touch.NOTHING

    def highlight(self, entry: Entry, before: Entry | None) -> str:
        return entry.html

    def stub(self, entry: Entry) -> str:
        return stub(entry.id)

    def frame(self, partials: Iterable[Partial], revision: str) -> str:
        return "".join(f"{partial.swap} {partial.html}" for partial in partials)


def snapshot(quantity: int) -> Snapshot:
    return Snapshot({"rows": (Entry("item-1", row("item-1", str(quantity)), quantity),)}, {})


def change(operation: str = "update") -> Change:
    return Change(1, 700, operation, 1, None, None)


async def next_frame(cursor: Cursor, wake: asyncio.Event) -> str:
    async with asyncio.timeout(5):
        while True:
            await wake.wait()
            wake.clear()
            if frame := cursor.advance()[0]:
                return frame


async def settled(view: LiveView) -> None:
    if view._refreshing is not None:
        await asyncio.wait_for(asyncio.shield(view._refreshing), 5)


def wake(events: Iterable[asyncio.Event]) -> None:
    for event in events:
        event.set()


def live_view(shelf: Shelf) -> LiveView:
    return LiveView(shelf, wake)


async def watching(view: LiveView, revision: str = "") -> tuple[Cursor, asyncio.Event]:
    wake = asyncio.Event()
    cursor = view.watch(wake, revision)
    await settled(view)
    return cursor, wake
