"""The rules without which a page ends stale, each seen to go wrong once."""

import asyncio
from contextvars import ContextVar

import psycopg

from tests.unit.htmx_model import row
from tests.unit.shelf import Shelf, change, live_view, next_frame, settled, snapshot, watching
from webapp.live.changes import Changes, Touch
from webapp.live.difference import Snapshot
from webapp.live.turns import INTERVAL_S


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
    assert shelf.loads <= 4 + lasted_s / INTERVAL_S
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
    frames = {view.snapshots.frame_since(f"made up {number}") for number in range(100)}
    assert len(frames) == len(view.snapshots._frames) == 1


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
