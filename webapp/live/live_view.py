"""Live views: one refresh for all who look at the same, and a frame from whatever each of them has."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import Context
from typing import Any, NamedTuple

import psycopg

from webapp.live.changes import Changes, Touch
from webapp.live.difference import Snapshot
from webapp.live.snapshots import Snapshots, Source
from webapp.live.turns import turn_after
from webapp.text import first_line

logger = logging.getLogger(__name__)

CERTAIN_FOR_S = 1.7
RETRY_S = (0.1, 1.0)
TRUSTED_FOR_S = 5.0  # for so long all who return share one query; who reloads later sees what no trigger has told, too
TOGETHER_S = 0.02  # so long what one view shows is kept back for what another one is about to show

Turn = Callable[[], AbstractAsyncContextManager[object]]
CatchUp = Callable[[], Awaitable[bool]]


async def _never() -> bool:
    return False


class LiveView:
    """A view while people look at it, and for a while after: reads it anew when it may be old, as seldom as it can.

    `wake` is told who watches, whenever there may be something new to take; each refresh runs within a `turn`.
    `catch_up` returns whether all that is committed when it is called was heard in time.
    """

    def __init__(
        self,
        source: Source,
        wake: Callable[[Iterable[Any]], object],
        turn: Turn = nullcontext,
        catch_up: CatchUp = _never,
    ) -> None:
        self.source = source
        self.snapshots = Snapshots(source)
        self._wake = wake
        self._turn = turn
        self._catch_up = catch_up
        self._dirty = Touch.ALL
        self._heard_meanwhile: list[Changes] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._current_as_of = float("-inf")
        self._trusted_until = self._next_refresh_at = 0.0
        self._expected_until = float("-inf")
        self.refreshes_started = 0
        self.refreshes_finished = 0
        self.watchers: dict[Hashable, None] = {}  # in order of joining

    def hear(self, changes: Changes) -> None:
        """Take note of committed changes; refresh if one can alter what is shown.

        Those heard while it is read may be in it or not: they are compared with what will have been read.
        """
        if self._heard_meanwhile is not None:
            self._heard_meanwhile.append(changes)
        elif self._dirty < Touch.ALL:
            self.touch(self.source.touched_by(changes))

    def touch(self, touch: Touch = Touch.ALL) -> None:
        """Note that what is shown may be old. Also while nobody looks: the next to come must not be told `equal`."""
        self._dirty = max(self._dirty, touch)
        if self._dirty and self.watchers and self._refreshing is None:
            # in a context of its own: what is read for all is no part of the request that came first
            self._refreshing = asyncio.create_task(self._refresh_while_dirty(), context=Context())

    def is_certain(self) -> bool:
        """Whether what is shown is what the database says, as far as the change feed knows."""
        return self.is_settled() or time.monotonic() - self._current_as_of < CERTAIN_FOR_S

    def is_settled(self) -> bool:
        """Whether all that was heard is in what is shown."""
        return not self._dirty and self._refreshing is None

    def is_about_to_show(self) -> bool:
        """Whether a refresh that began a moment ago has not come to its end: pages will be woken, and wait so long."""
        return time.monotonic() < self._expected_until

    def close(self) -> None:
        """Stop refreshing."""
        if self._refreshing is not None:
            self._refreshing.cancel()

    def watch(self, watcher: Hashable, revision: str) -> "Cursor":
        """Wake a watcher at each new snapshot; return the cursor of a page that shows `revision`.

        One that is not known may be newer than what is shown here: without a doubt the page would step back.
        """
        self.watchers[watcher] = None
        self.touch(Touch.NOTHING if revision in self.snapshots else Touch.DOUBT)
        self._wake((watcher,))
        return Cursor(self, revision, self.refreshes_started + 1 if self._dirty else 0)

    def unwatch(self, watcher: Hashable) -> None:
        """Forget a watcher."""
        self.watchers.pop(watcher, None)

    async def look(self) -> Snapshot | None:
        """Read all there is to show, for a page whose socket comes soon; None where somebody looks already.

        Raises what reading raises.
        """
        if self.watchers or self._refreshing is not None:
            return None
        self._refreshing = asyncio.create_task(self._refresh_once(), context=Context())
        await asyncio.shield(self._refreshing)  # others may wait for it by now
        return self.snapshots.newest

    async def _refresh_once(self) -> None:
        self._dirty = Touch.ALL
        try:
            await self._refresh()
        except BaseException:
            self._dirty = Touch.ALL
            raise
        finally:
            self._refreshing = None
            self.touch(Touch.NOTHING)  # for who came meanwhile

    async def _refresh_while_dirty(self) -> None:
        """One refresh at a time."""
        try:
            while self._dirty and self.watchers:
                await self._wait_for_turn()
                await self._try_to_refresh()
        finally:
            self._refreshing = None

    async def _try_to_refresh(self) -> None:
        try:
            if self._dirty is Touch.DOUBT and time.monotonic() < self._trusted_until:
                await self._settle_doubt()
            else:
                async with self._turn():
                    await self._refresh()
        except Exception as error:  # noqa: BLE001 - the page says it is stale, we try again
            self._dirty = Touch.ALL
            _log_failure(error)
            await asyncio.sleep(random.uniform(*RETRY_S))  # noqa: S311

    async def _settle_doubt(self) -> None:
        """What is shown is all there is if the change feed, asked now, knows of nothing else: that needs no query."""
        started_at = self._begin()
        if not await self._catch_up():
            self.touch()
        elif self._dirty <= Touch.DOUBT:  # of others, who came meanwhile
            self._finish(started_at)

    async def _refresh(self) -> None:
        touch = Touch.ALL if self._dirty is Touch.DOUBT else self._dirty
        started_at = self._begin()
        self._expected_until = started_at + TOGETHER_S
        patience = asyncio.get_running_loop().call_later(TOGETHER_S, self._wake, self.watchers)
        meanwhile = self._heard_meanwhile = []
        try:
            self.snapshots.add(await self.source.load(touch))
            patience.cancel()
        finally:
            self._heard_meanwhile = None
            self._expected_until = float("-inf")
        self._trusted_until = started_at + TRUSTED_FOR_S
        self._finish(started_at)
        for changes in meanwhile:
            self.hear(changes)

    def _begin(self) -> float:
        """`_dirty` is cleared before anything is asked, so a change meanwhile is never missed."""
        self._dirty = Touch.NOTHING
        self.refreshes_started += 1
        return time.monotonic()

    def _finish(self, started_at: float) -> None:
        self.refreshes_finished = self.refreshes_started
        self._current_as_of = started_at
        self._wake(self.watchers)

    async def _wait_for_turn(self) -> None:
        now = time.monotonic()
        wait_s, self._next_refresh_at = self._next_refresh_at - now, turn_after(self._next_refresh_at, now)
        if wait_s > 0:
            await asyncio.sleep(wait_s)


def _log_failure(error: Exception) -> None:
    if isinstance(error, psycopg.Error | OSError):
        logger.warning("a view could not be refreshed: %s", first_line(error))
    else:
        logger.error("a view cannot be shown", exc_info=error)


class Cursor(NamedTuple):
    """What one page shows of a live view. A page that was away, is slow or is new differs only in its revision."""

    view: LiveView
    revision: str
    not_before: int = 0
    """The refresh to wait for; 0: none."""

    @property
    def is_waiting(self) -> bool:
        """Whether it is not yet known what the page lacks."""
        return self.view.refreshes_finished < self.not_before

    def advance(self) -> "tuple[str, Cursor]":
        """Return the frame that brings the page to the newest snapshot, "" if it is there, and where it then is."""
        if self.is_waiting:
            return "", self
        frame, revision = self.view.snapshots.frame_since(self.revision)
        return frame, Cursor(self.view, revision)

    def count_waiting(self) -> int | None:
        """Count the entries that a frame would change, come or leave; None: it is not known how many."""
        return self.view.snapshots.changed_since(self.revision)
