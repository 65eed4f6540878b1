"""The rests of a busy listener: how long they are, and what ends them."""

import asyncio

import psycopg
import pytest

from tests.factories import make_item, make_items
from tests.follower import follow
from tests.waiting import until
from webapp.live.feed import FeedConnection
from webapp.live.listener import MANY_CHANGES, REST_S

NEVER_S = 3600.0


@pytest.fixture
def rested(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a listener rests, which it does until somebody asks."""
    rested = asyncio.Event()
    rest = FeedConnection.rest

    async def rest_long(feed: FeedConnection, for_s: float) -> None:
        rested.set()
        await rest(feed, NEVER_S)

    monkeypatch.setattr(FeedConnection, "rest", rest_long)
    return rested


async def test_a_busy_listener_rests_until_somebody_asks(
    database_url: str, database: psycopg.Connection, rested: asyncio.Event
) -> None:
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        make_items(database, MANY_CHANGES - 1)
        await follower.until_told(MANY_CHANGES - 1)
        assert not rested.is_set()
        database.execute("DELETE FROM inventory")
        make_items(database, MANY_CHANGES)
        await asyncio.wait_for(rested.wait(), 20)
        make_item(database, name="meanwhile")
        assert await follower.listener.catch_up(within_s=20)
        assert follower.names()[-1] == "meanwhile"


async def test_what_is_said_during_a_rest_does_not_wait_at_the_server(
    database_url: str, database: psycopg.Connection
) -> None:
    async with FeedConnection.open(database_url, answer_limit_s=20) as feed:
        await feed.listen()
        rest = asyncio.create_task(feed.rest(NEVER_S))
        database.execute("SELECT pg_notify('messages_channel', 'hello')")
        await until(feed.take_payloads)
        feed.hint()
        await rest


async def test_who_begins_to_watch_ends_the_rest(
    database_url: str, database: psycopg.Connection, rested: asyncio.Event
) -> None:
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        make_items(database, MANY_CHANGES)
        await asyncio.wait_for(rested.wait(), 20)
        make_item(database, name="meanwhile")
        follower.listener.enter()
        await follower.until(lambda: follower.names()[-1] == "meanwhile")


async def test_while_nobody_watches_a_busy_listener_rests_longer_each_time_up_to_the_safety_poll(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    async def note(feed: FeedConnection, for_s: float) -> None:
        rests.append(for_s)

    monkeypatch.setattr(FeedConnection, "rest", note)
    make_items(database, MANY_CHANGES)
    async with follow(database_url, safety_poll_s=20 * REST_S) as follower:

        async def rest_after_many_changes() -> float:
            rested = len(rests)
            database.execute("UPDATE inventory SET quantity = quantity + 1")
            await follower.until(lambda: len(rests) > rested)
            return rests[-1]

        for longer in (4 * REST_S, 16 * REST_S, 20 * REST_S, 20 * REST_S):
            assert await rest_after_many_changes() == longer
        watcher = follower.listener.enter()
        assert await rest_after_many_changes() == REST_S
        watcher.leave()
        assert await rest_after_many_changes() == 4 * REST_S
        make_item(database, name="one change is no rush")
        await follower.until(lambda: follower.names()[-1] == "one change is no rush")
        assert await rest_after_many_changes() == 4 * REST_S
