"""A page that opens reads its view for the socket that comes soon, and for who comes meanwhile."""

import asyncio

import pytest

from tests.unit.shelf import Shelf, change, live_view, next_frame, settled, snapshot, watching
from webapp.live.changes import Changes


async def test_the_socket_of_a_page_finds_what_the_page_has_read() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    shown = await view.look()
    assert shown == snapshot(1)
    cursor, _ = await watching(view, shown.revision)
    assert not cursor.is_waiting
    assert cursor.advance()[0] == ""
    assert shelf.loads == 1


async def test_what_changes_while_a_page_is_read_is_told_to_its_socket() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    shelf.gate.clear()
    looking = asyncio.create_task(view.look())
    await shelf.started.wait()
    shelf.quantity = 2
    view.hear(Changes((change(),)))
    shelf.gate.set()
    shown = await looking
    assert shown == snapshot(1)
    cursor, wake = await watching(view, shown.revision)
    assert '"item-1"' in await next_frame(cursor, wake)
    assert view.snapshots.frame_since(shown.revision)[1] == snapshot(2).revision


async def test_who_comes_while_a_page_is_read_waits_for_no_second_reading_at_once() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    shelf.gate.clear()
    looking = asyncio.create_task(view.look())
    await shelf.started.wait()
    assert await view.look() is None, "who opens it too reads for himself"
    wake = asyncio.Event()
    cursor = view.watch(wake, "of another process")
    shelf.gate.set()
    await looking
    await settled(view)
    assert not cursor.is_waiting
    assert cursor.advance()[0]
    assert shelf.most_running == 1


async def test_a_page_that_cannot_be_read_leaves_its_view_to_be_read() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    shelf.failures.append(OSError("no connection"))
    with pytest.raises(OSError, match="no connection"):
        await view.look()
    assert not view.is_settled()
    cursor, _ = await watching(view)
    assert cursor.advance()[0]


async def test_what_people_look_at_already_is_left_to_them() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    await watching(view)
    assert await view.look() is None
    assert shelf.loads == 1


async def test_who_gives_up_leaves_the_reading_to_others() -> None:
    shelf = Shelf()
    view = live_view(shelf)
    shelf.gate.clear()
    looking = asyncio.create_task(view.look())
    await shelf.started.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    shelf.gate.set()
    await settled(view)
    assert view.is_settled()
