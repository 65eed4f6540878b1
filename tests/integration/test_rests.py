"""The rests of a busy listener: how long they are, and what ends them."""

import asyncio
import sys
from fcntl import ioctl
from termios import FIONREAD

import psycopg
import pytest

from tests.factories import make_item, make_items
from tests.follower import follow
from tests.waiting import until
from webapp.live.feed import FeedConnection
from webapp.live.listener import MANY_CHANGES, MAX_UNWATCHED, Listener

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


async def test_all_that_was_said_is_taken_at_once(database_url: str, database: psycopg.Connection) -> None:
    async with FeedConnection.open(database_url, answer_limit_s=20) as feed:
        await feed.listen()
        database.execute("SELECT pg_notify('messages_channel', lpad(n::text, 100)) FROM generate_series(1, 500) AS n")
        await until(lambda: readable_bytes(feed) > 500 * 100)
        await feed.rest(0)
        assert len(feed.take_payloads()) == 500


def readable_bytes(feed: FeedConnection) -> int:
    return int.from_bytes(ioctl(feed._connection.fileno(), FIONREAD, bytes(4)), sys.byteorder)


async def test_who_begins_to_watch_ends_the_rest(
    database_url: str, database: psycopg.Connection, rested: asyncio.Event
) -> None:
    async with follow(database_url, watching=False, safety_poll_s=NEVER_S) as follower:
        make_items(database, MANY_CHANGES)
        await asyncio.wait_for(rested.wait(), 20)
        make_item(database, name="meanwhile")
        follower.listener.enter()
        await follower.until(lambda: follower.names()[-1] == "meanwhile")


async def test_a_resting_listener_hears(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "_rest_after", lambda _, told: NEVER_S if told else 0)
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        make_item(database)
        await follower.until_told(1)
        make_item(database, name="not looked for")
        database.execute("SELECT pg_notify('messages_channel', 'hello')")
        await follower.until(lambda: "hello" in follower.payloads)
        assert len(follower.changes) == 1


async def test_while_nobody_watches_many_changes_are_not_told_one_by_one(
    database_url: str, database: psycopg.Connection
) -> None:
    async with follow(database_url, watching=False) as follower:
        make_items(database, MAX_UNWATCHED)
        await follower.until_told(MAX_UNWATCHED)
        database.execute("DELETE FROM inventory")
        make_items(database, MAX_UNWATCHED + 1)
        await follower.until(lambda: follower.resyncs > 1)
        assert 1 <= follower.untold_transactions <= 2
        follower.listener.enter()
        told = len(follower.changes)
        database.execute("UPDATE inventory SET quantity = quantity + 1")
        await follower.until_told(told + MAX_UNWATCHED + 1)


async def test_what_is_not_told_says_how_many_made_it(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Listener, "_rest_after", lambda _, told: NEVER_S if told else 0)
    async with follow(database_url, watching=False, safety_poll_s=NEVER_S) as follower:
        make_item(database)
        await follower.until_told(1)
        for number in range(MAX_UNWATCHED + 1):
            make_item(database, name=f"number {number}")
        assert await follower.listener.catch_up(within_s=20)
        assert follower.untold_transactions == MAX_UNWATCHED + 1
