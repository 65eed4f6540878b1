"""One open page, as the server sees it: what it shows, whether it is held, and what to send it next."""

import asyncio
from collections.abc import Callable

from webapp.live import Cursor, LiveView

UNTOLD = -1


class Page:
    """The cursors of what a page shows, and a wake-up for whoever writes to its socket.

    A held page is one that asked not to be written to: its cursor stays where it is, and it is told how much waits.
    """

    def __init__(
        self,
        items: LiveView,
        summary: LiveView | None,
        beat_frame: Callable[[], str | None],
        waiting_frame: Callable[[int | None], str],
    ) -> None:
        self.views = (items, summary) if summary else (items,)
        self._beat_frame = beat_frame
        self._waiting_frame = waiting_frame
        self._cursors: tuple[Cursor, ...] = ()
        self._beat_is_due = False
        self._is_held = False
        self._waiting_told: int | None = UNTOLD
        self.wake = asyncio.Event()

    def resume(self, items_revision: str, summary_revision: str, *, hold: bool = False) -> None:
        """Follow the views from what the page says it shows; it shall hear at once that it is live."""
        self._beat_is_due = True
        self._is_held, self._waiting_told = hold, UNTOLD
        revisions = (items_revision, summary_revision)
        self._cursors = tuple(view.watch(self.wake, each) for view, each in zip(self.views, revisions, strict=False))

    def leave(self) -> None:
        """Follow no longer."""
        for view in self.views:
            view.unwatch(self.wake)

    def beat(self) -> None:
        """Tell the page that it is live, as soon as what it shows is certain."""
        self._beat_is_due = True
        self.wake.set()

    async def next_frame(self) -> str:
        """Wait for something to send: whatever the page lacks, in one frame, never older states."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            if self._cursors and (frame := self._take_items() + self._take_summary() + self._due_beat()):
                return frame

    def _take_items(self) -> str:
        cursor = self._cursors[0]
        if not self._is_held:
            return cursor.take_frame() or ""
        waiting = cursor.count_waiting()
        if waiting == self._waiting_told:
            return ""
        self._waiting_told = waiting
        return self._waiting_frame(waiting)

    def _take_summary(self) -> str:
        return "".join(cursor.take_frame() or "" for cursor in self._cursors[1:])

    def _due_beat(self) -> str:
        if not (self._beat_is_due and all(view.is_certain() for view in self.views)):
            return ""
        self._beat_is_due = False
        return self._beat_frame() or ""
