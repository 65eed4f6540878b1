"""Counts are kept from the change feed, and right all the same: at once, without it, and when it has told nothing."""

from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest

from tests.browserless import BrowserlessPage, open_page
from tests.factories import make_item
from tests.follower import Proxy, follow
from tests.server import LiveServer, serve
from tests.waiting import until
from tests.work import counted_work
from webapp import main
from webapp.live import live_views, tallies

NEVER_S = 3600.0


@pytest.fixture
async def slow_to_hear(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveServer]:
    """A server that gets no notifications, which it was not asked before: it looks at the log once a second."""
    monkeypatch.setattr(main, "check_hearing", lambda *_: None)
    async with Proxy(database_url, is_pooler=True).serve() as through_pooler:
        with serve(database_url, listen_database_url=through_pooler) as running:
            yield running


async def shown(server: LiveServer, query: str = "") -> tuple[str, str]:
    page = BrowserlessPage(server, query)
    await page.open()
    return page.text("matches"), page.text("totals")


async def test_a_page_counts_what_was_committed_just_now(
    slow_to_hear: LiveServer, database: psycopg.Connection
) -> None:
    for number in range(1, 6):
        make_item(database, name=f"apples {number}", quantity=2)
        totals = f"Items {number} Units {2 * number} Low stock 0"
        assert await shown(slow_to_hear) == (f"{number} item" + "s" * (number > 1), totals)
        assert (await shown(slow_to_hear, "q=APP"))[0].startswith(f"{number} item")


async def test_where_the_feed_is_not_sure_a_page_counts_by_itself(
    slow_to_hear: LiveServer, database: psycopg.Connection
) -> None:
    await shown(slow_to_hear)
    slow_to_hear.app.state.hub.listener.is_certain = lambda within_s: False
    make_item(database, quantity=3)
    assert await shown(slow_to_hear) == ("1 item", "Items 1 Units 3 Low stock 0")


async def test_nobody_counts_again_what_the_feed_has_told(database_url: str, database: psycopg.Connection) -> None:
    with counted_work() as work, serve(database_url) as server:
        async with open_page(server) as page, open_page(server, "q=a&sort=-quantity") as search:
            await until(lambda: page.beats and search.beats)
            work.clear()
            for number in range(1, 21):
                make_item(database, name=f"apples {number}", quantity=1)
                await until(lambda number=number: page.text("totals").startswith(f"Items {number} "))  # type: ignore[misc]
            await until(lambda: search.text("matches").startswith("20 items match"))
            await shown(server, "q=a&page=2")
            assert work.queries["figures"] == 0


async def test_a_change_beyond_the_page_alters_its_count_without_a_query(
    database_url: str, database: psycopg.Connection
) -> None:
    for number in range(60):
        make_item(database, name=f"item {number:02}")
    with counted_work() as work, serve(database_url) as server:
        async with open_page(server) as page:
            await until(lambda: page.beats)
            work.clear()
            last = make_item(database, name="zebra")
            await until(lambda: page.text("matches") == "61 items")
            database.execute("UPDATE inventory SET quantity = 5 WHERE id = %s", [last])
            await until(lambda: page.text("totals").startswith("Items 61 Units 605"))
            assert work.queries["view_items"] == 0


async def test_who_writes_past_the_triggers_is_noticed_in_the_end(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(database_url) as server:
        await until(server.app.state.hub.is_certain)
        make_item(database)
        assert (await shown(server))[0] == "1 item"
        database.execute("SET session_replication_role = replica")
        make_item(database)
        assert (await shown(server))[0] == "1 item"
        monkeypatch.setattr(tallies, "COUNT_AGAIN_S", 0.0)
        assert (await shown(server))[0] == "2 items"


async def test_tallies_that_nobody_looks_through_are_forgotten(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "RECENT_TALLIES", 3)
    monkeypatch.setattr(live_views, "IDLE_VIEWS", 2)
    with serve(database_url) as server:
        async with open_page(server, "q=watched") as page, httpx.AsyncClient(verify=False) as client:
            await until(lambda: page.beats)
            for number in range(10):
                await client.get(f"{server.url}/?q={number}")
            kept = [tally.matcher.filter.q for tally in server.app.state.hub.tallies]
            assert "watched" in kept
            assert len(kept) <= 7


async def test_catching_up_waits_for_no_hint(database_url: str, database: psycopg.Connection) -> None:
    async with (
        Proxy(database_url, is_pooler=True).serve() as through_pooler,
        follow(through_pooler, safety_poll_s=NEVER_S) as follower,
    ):
        for number in range(1, 6):
            make_item(database, name=f"Item {number}")
            assert await follower.listener.catch_up(within_s=20)
            assert len(follower.changes) == number


async def test_catching_up_ends_when_the_server_is_silent(database_url: str, database: psycopg.Connection) -> None:
    proxy = Proxy(database_url)
    async with proxy.serve() as through_proxy, follow(through_proxy) as follower:
        proxy.freeze()
        assert not await follower.listener.catch_up(within_s=0.05)
        proxy.flow()
        assert await follower.listener.catch_up(within_s=20)
