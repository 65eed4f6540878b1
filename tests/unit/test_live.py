"""The rules without which a page ends stale, each seen to go wrong once: a source of our own, no database."""

import asyncio
from collections.abc import Iterable
from contextvars import ContextVar

import psycopg
import pytest

from tests.unit.htmx_model import row, stub
from webapp.live import live_view as live
from webapp.live.changes import Change, Changes, Touch
from webapp.live.difference import Entry, Partial, Snapshot
from webapp.live.live_view import REFRESH_INTERVAL_S, Cursor, LiveView


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


async def test_a_page_that_shows_all_gets_nothing() -> None:
    view = live_view(Shelf())
    cursor, _ = await watching(view, snapshot(1).revision)
    assert cursor.advance()[0] == ""


async def test_a_page_of_unknown_revision_gets_everything() -> None:
    cursor, wake = await watching(live_view(Shelf()), "of another server")
    assert await next_frame(cursor, wake) == f"innerMorph {row('item-1', '1')}"


async def test_a_change_gives_the_difference() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    cursor, wake = await watching(view, snapshot(1).revision)
    shelf.quantity = 2
    view.hear(Changes((change(),)))
    assert await next_frame(cursor, wake) == f"outerMorph {row('item-1', '2')}"


async def test_a_change_that_cannot_touch_the_view_costs_no_query() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    await watching(view)
    view.hear(Changes((change("elsewhere"),)))
    await settled(view)
    assert shelf.loads == 1


async def test_all_who_look_at_the_same_share_one_query_and_one_frame() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    pages = [await watching(view, snapshot(1).revision) for _ in range(5)]
    shelf.quantity = 2
    view.hear(Changes((change(),)))
    await settled(view)
    frames = [cursor.advance()[0] for cursor, _ in pages]
    assert shelf.loads == 2
    assert all(frame is frames[0] for frame in frames)


async def test_a_change_while_nobody_looks_is_not_answered_from_old_rows() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    _, wake = await watching(view, snapshot(1).revision)
    view.unwatch(wake)
    shelf.quantity = 2
    view.hear(Changes((change(),)))
    cursor, wake = await watching(view, snapshot(1).revision)
    assert await next_frame(cursor, wake) == f"outerMorph {row('item-1', '2')}"


async def test_a_dirty_view_is_refreshed_before_it_answers() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    await watching(view)
    shelf.quantity = 2
    shelf.gate.clear()
    view.touch()
    cursor = view.watch(wake := asyncio.Event(), "of another server")
    assert cursor.advance() == ("", cursor), "a page would step back to what was true before"
    shelf.gate.set()
    assert await next_frame(cursor, wake) == f"innerMorph {row('item-1', '2')}"


async def test_a_change_during_a_query_makes_another() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    cursor, wake = await watching(view, snapshot(1).revision)
    shelf.gate.clear()
    shelf.started.clear()
    view.touch()
    await shelf.started.wait()
    shelf.quantity = 2  # the query has read 1 by now
    view.hear(Changes((change(),)))
    shelf.gate.set()
    assert await next_frame(cursor, wake) == f"outerMorph {row('item-1', '2')}"


async def test_one_refresh_at_a_time_and_bursts_are_coalesced() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    cursor, wake = await watching(view, snapshot(1).revision)
    began = asyncio.get_running_loop().time()
    for quantity in range(2, 200):
        shelf.quantity = quantity
        view.hear(Changes((change(),)))
        await asyncio.sleep(0)
    await settled(view)
    lasted_s = asyncio.get_running_loop().time() - began
    assert shelf.most_running == 1
    assert shelf.loads <= 4 + lasted_s / REFRESH_INTERVAL_S
    assert await next_frame(cursor, wake) == f"outerMorph {row('item-1', '199')}"


async def test_a_tab_that_was_away_for_a_few_changes_gets_a_difference() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    _, wake = await watching(view, snapshot(1).revision)
    for quantity in (2, 3, 4):
        shelf.quantity = quantity
        view.touch()
        await settled(view)
    view.unwatch(wake)
    cursor, wake = await watching(view, snapshot(2).revision)
    assert await next_frame(cursor, wake) == f"outerMorph {row('item-1', '4')}"


async def test_a_view_that_cannot_be_read_is_not_certain_and_recovers() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    shelf.failures = [psycopg.OperationalError("gone"), RuntimeError("a defect")]
    cursor = view.watch(wake := asyncio.Event(), "")
    assert not view.is_certain()
    await next_frame(cursor, wake)
    await settled(view)
    assert view.is_certain()


async def test_claimed_revisions_take_no_memory() -> None:
    view = live_view(Shelf())
    await watching(view)
    frames = {view.frame_since(f"made up {number}") for number in range(100)}
    assert len(frames) == len(view._frames) == 1


async def test_whoever_comes_first_leaves_no_trace_in_what_is_read_for_all() -> None:
    caller = ContextVar("caller", default="nobody")
    seen: list[str] = []

    class Curious(Shelf):
        async def load(self, touch: Touch) -> Snapshot:
            seen.append(caller.get())
            return await super().load(touch)

    caller.set("the first one")
    await watching(live_view(Curious()))
    assert seen == ["nobody"]


class Feed:
    """A change feed that knows all that is committed, when it is let look."""

    def __init__(self) -> None:
        self.looks = 0
        self.knows = True
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def catch_up(self) -> bool:
        self.looks += 1
        self.asked.set()
        await self.gate.wait()
        return self.knows


async def test_any_number_that_return_with_what_nobody_knows_cost_one_query_and_one_look() -> None:
    shelf, feed = Shelf(), Feed()
    view = LiveView(shelf, wake, catch_up=feed.catch_up)
    pages = [await watching(view, f"from before the restart {number}") for number in range(3)]
    assert shelf.loads == 1, "the first one"
    feed.looks = 0
    feed.gate.clear()
    pages += [(view.watch(event := asyncio.Event(), f"older {number}"), event) for number in range(100)]
    feed.gate.set()
    await settled(view)
    assert [cursor.advance()[0] for cursor, _ in pages] == [f"innerMorph {row('item-1', '1')}"] * 103
    assert (shelf.loads, feed.looks) == (1, 1)


async def test_who_has_seen_what_the_feed_has_not_told_yet_is_not_led_back() -> None:
    shelf, feed = Shelf(), Feed()
    view = LiveView(shelf, wake, catch_up=feed.catch_up)
    await watching(view)
    shelf.quantity = 2
    for each in (feed.gate, feed.asked, shelf.gate, shelf.started):
        each.clear()
    cursor = view.watch(event := asyncio.Event(), snapshot(2).revision)
    await feed.asked.wait()
    view.hear(Changes((change(),)))
    feed.gate.set()
    await shelf.started.wait()
    assert cursor.advance() == ("", cursor)
    shelf.gate.set()
    await settled(view)
    assert event.is_set()
    assert cursor.advance()[0] == ""


async def test_where_the_feed_does_not_know_the_database_is_asked() -> None:
    shelf, feed = Shelf(), Feed()
    view = LiveView(shelf, wake, catch_up=feed.catch_up)
    await watching(view)
    feed.knows, shelf.quantity = False, 2
    cursor, _ = await watching(view, snapshot(2).revision)
    assert shelf.loads == 2
    assert cursor.advance()[0] == ""


async def test_what_no_feed_has_told_is_seen_by_who_reloads_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TRUSTED_FOR_S", 0)
    shelf = Shelf()
    view = LiveView(shelf, wake, catch_up=Feed().catch_up)
    await watching(view)
    shelf.quantity = 2  # by a writer that bypasses the triggers
    cursor, _ = await watching(view, snapshot(2).revision)
    assert shelf.loads == 2
    assert cursor.advance()[0] == ""
