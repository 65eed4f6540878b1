"""Pages that return with a revision which nobody here knows: whether the database has to be asked."""

import asyncio

import pytest

from tests.unit.htmx_model import row
from tests.unit.shelf import Shelf, change, settled, snapshot, wake, watching
from webapp.live import live_view as live
from webapp.live.changes import Changes
from webapp.live.live_view import LiveView


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
