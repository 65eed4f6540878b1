import asyncio
import json
import threading
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest
from websockets.asyncio.client import connect

from tests.browserless import BrowserlessPage, open_page
from tests.factories import make_item
from tests.server import LiveServer, serve
from tests.waiting import until
from tests.work import counted_work
from webapp.live import finder, item_list
from webapp.live.changes import Touch
from webapp.live.pieces import Pieces
from webapp.postgres import pool as pool_module

REPLACES_ROWS = 'hx-target="#rows" hx-swap="innerMorph"'


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the queries of views and the rows that are rendered."""
    counts: Counter[str] = Counter()
    fetch, render = pool_module.fetch, Pieces._item

    async def counted_fetch(*arguments: Any) -> Any:
        counts["queries"] += 1
        return await fetch(*arguments)

    def counted_render(self: Pieces, item: Any) -> Any:
        counts["rows rendered"] += 1
        return render(self, item)

    for module in (item_list, finder):
        monkeypatch.setattr(module, "fetch", counted_fetch)
    monkeypatch.setattr(Pieces, "_item", counted_render)
    return counts


async def live(*pages: BrowserlessPage) -> None:
    await until(lambda: all(page.beats for page in pages))


async def test_everyone_who_looks_at_the_same_gets_the_same_frame_of_the_difference(
    server: LiveServer, database: psycopg.Connection
) -> None:
    make_item(database, name="apples", quantity=1)
    make_item(database, name="pears", quantity=1)
    async with open_page(server) as one, open_page(server) as two:
        await live(one, two)
        seen = len(one.frames)
        database.execute("UPDATE inventory SET quantity = 2 WHERE name = 'pears'")
        await until(lambda: one.items() == two.items() == [("apples", 1), ("pears", 2)])
        told = "".join(one.frames[seen:])
        assert told.count('hx-target="#item-') == 1
        assert REPLACES_ROWS not in told


async def test_a_view_that_a_change_cannot_touch_costs_no_query_and_no_render(
    counted: Counter[str], server: LiveServer, database: psycopg.Connection
) -> None:
    for number in range(200):
        make_item(database, name=f"item {number:03}", quantity=1)
    pages = [BrowserlessPage(server, f"q=item+{number:03}") for number in range(200)]
    for page in pages:
        await page.open()
    following = [asyncio.create_task(page.follow()) for page in pages]
    try:
        await live(*pages)
        counted.clear()
        database.execute("UPDATE inventory SET quantity = 2 WHERE name = 'item 123'")
        await until(lambda: pages[123].items() == [("item 123", 2)])
        await until(lambda: all(page.text("totals") == "Items 200 Units 201 Low stock 0" for page in pages))
        assert counted == {"queries": 1, "rows rendered": 1}
        assert [page.items() for page in pages[:3]] == [[(f"item {number:03}", 1)] for number in range(3)]
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def test_totals_and_activity_are_read_once_for_all_pages(
    server: LiveServer, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_item(database, name="apples", quantity=1)
    async with open_page(server, "q=a") as one, open_page(server, "q=ap") as two, open_page(server, "low=1") as three:
        await live(one, two, three)
        summary = server.app.state.hub._summary
        before = summary.refreshes_started
        database.execute("UPDATE inventory SET quantity = 5")
        await until(lambda: all(page.text("totals") == "Items 1 Units 5 Low stock 0" for page in (one, two, three)))
        assert summary.refreshes_started == before + 1


async def test_a_socket_that_did_not_resume_gets_nothing(server: LiveServer, database: psycopg.Connection) -> None:
    make_item(database, name="apples", quantity=1)
    async with connect(f"{server.socket_url}/live") as silent, open_page(server) as page:
        await live(page)
        database.execute("UPDATE inventory SET quantity = 5")
        await until(lambda: page.items() == [("apples", 5)])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(silent.recv(), 0.1)


async def test_a_change_between_page_and_socket_is_not_missed(server: LiveServer, database: psycopg.Connection) -> None:
    make_item(database, name="apples", quantity=1)
    async with open_page(server) as other:
        await live(other)
        page = BrowserlessPage(server)
        await page.open()
        database.execute("UPDATE inventory SET quantity = 2")
        await until(lambda: other.items() == [("apples", 2)])
        following = asyncio.create_task(page.follow())
        await until(lambda: page.items() == [("apples", 2)])
        assert REPLACES_ROWS not in page.frames[0], "a difference would have done"
        following.cancel()


async def test_a_page_and_its_socket_read_the_list_once(server: LiveServer, database: psycopg.Connection) -> None:
    make_item(database, name="apples")
    await until(server.app.state.hub.is_certain)
    with counted_work() as work:
        async with open_page(server, "sort=quantity") as page:
            await live(page)
            make_item(database, name="pears")
            await until(lambda: page.text("matches") == "2 items")
    assert work.queries["view_items"] == 1


async def test_a_page_of_one_process_resumes_at_another(
    server: LiveServer, database_url: str, database: psycopg.Connection
) -> None:
    make_item(database, name="apples", quantity=1)
    page = BrowserlessPage(server)
    await page.open()
    with serve(database_url) as second:
        page._server = second
        following = asyncio.create_task(page.follow())
        await live(page)
        assert page.items() == [("apples", 1)]
        assert not any(REPLACES_ROWS in frame for frame in page.frames), "it showed all that there is"
        database.execute("UPDATE inventory SET quantity = 2")
        await until(lambda: page.items() == [("apples", 2)])
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def come_back(server: LiveServer, pages: int = 100) -> None:
    """Let many pages come back at once from a process that is gone, with what nobody knows any more."""
    async with AsyncExitStack() as stack:
        address = f"{server.socket_url}/live"
        sockets = await asyncio.gather(*(stack.enter_async_context(connect(address)) for _ in range(pages)))
        for number, socket in enumerate(sockets):
            await socket.send(json.dumps({"type": "resume", "revision": f"{number}", "summary": f"{number}"}))
        for socket in sockets:
            while 'id="revision"' not in str(await asyncio.wait_for(socket.recv(), 10)):
                pass


async def test_all_who_come_back_at_once_are_served_by_one_query_if_any(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.live.hub.CATCH_UP_S", 60)
    monkeypatch.setattr("webapp.live.hub.CERTAIN_FOR_S", 60)
    make_item(database)
    with counted_work() as work, serve(database_url) as server:
        await until(server.app.state.hub.is_certain)
        await come_back(server)
        assert work.queries["view_items"] == work.queries["latest_changes"] == 1
        work.clear()
        await come_back(server)
        assert not work.queries.keys() & {"view_items", "figures", "latest_changes"}, "nothing has changed"
        database.execute("UPDATE inventory SET quantity = 2")
        await come_back(server)
        assert work.queries["items_by_ids"] <= 2
        assert work.queries["view_items"] <= 2


async def test_a_page_that_has_not_resumed_yet_keeps_its_view(
    server: LiveServer, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.live.live_views.IDLE_VIEWS", 0)
    make_item(database, name="apples", quantity=1)
    hub = server.app.state.hub
    async with connect(f"{server.socket_url}/live") as slow:
        await until(lambda: len(hub._pages) == 1)
        async with connect(f"{server.socket_url}/live?q=other"):
            await until(lambda: len(hub._pages) == 2)
        await until(lambda: len(hub._pages) == 1)
        await slow.send('{"type": "resume"}')
        async with asyncio.timeout(5):
            while 'id="revision"' not in str(await slow.recv()):
                pass
            database.execute("UPDATE inventory SET quantity = 2")
            while 'data-field="quantity" class="changed-' not in str(await slow.recv()):
                pass


async def test_a_statement_of_many_rows_is_one_refresh_of_each_view(
    counted: Counter[str], server: LiveServer, database: psycopg.Connection
) -> None:
    async with open_page(server) as page:
        await live(page)
        counted.clear()
        database.execute(
            "INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, 5500) n"
        )
        await until(lambda: page.text("matches") == "5500 items")
        assert counted["queries"] <= 2
        assert counted["rows rendered"] <= 100


async def test_while_all_views_are_due_pages_still_find_a_connection(
    server: LiveServer, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, may_end, held = item_list.ItemList.load, threading.Event(), Counter[str]()

    async def held_up(self: item_list.ItemList, touch: Touch) -> Any:
        async with pool_module.use_connection(self._pool):
            held["connections"] += 1
            while not may_end.is_set():  # noqa: ASYNC110 - the test runs on another loop
                await asyncio.sleep(0.01)
        return await load(self, touch)

    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(open_page(server, f"page={page}")) for page in range(1, 21)]
        await live(*pages)
        monkeypatch.setattr(item_list.ItemList, "load", held_up)
        make_item(database, name="apples")
        pool = server.app.state.hub._pool
        await until(lambda: held["connections"] >= pool.max_size // 2)
        fresh = BrowserlessPage(server)
        await fresh.open()
        assert held["connections"] == pool.max_size // 2
        may_end.set()
        await until(lambda: all(page.items() == [("apples", 10)] for page in pages))
