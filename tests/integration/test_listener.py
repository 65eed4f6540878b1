"""The change feed: each committed change once, at once, in whatever order transactions commit."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise

import psycopg
import pytest
from psycopg.rows import DictRow

from tests.factories import make_item, make_items
from tests.follower import APPLICATION, Proxy, follow
from tests.waiting import eventually
from webapp.live.changes import Change, ItemState
from webapp.live.feed import LONGEST_PAUSE_S, FeedConnection, pause_s
from webapp.live.listener import MAX_CHANGES
from webapp.postgres.queries import QUERIES

NEVER_S = 3600.0


@contextmanager
def hushed_writers(url: str) -> Iterator[psycopg.Connection]:
    """Have a courier hold its lock, so that writers leave it to him to notify."""
    with closing(psycopg.connect(url, autocommit=True)) as courier:
        courier.execute(QUERIES["courier_hush"])
        yield courier


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all that listeners ask for."""
    asked: list[str] = []
    query = FeedConnection.query

    async def noted(feed: FeedConnection, name: str, **parameters: object) -> list[DictRow]:
        asked.append(name)
        return await query(feed, name, **parameters)

    monkeypatch.setattr(FeedConnection, "query", noted)
    return asked


def listeners(database: psycopg.Connection) -> int:
    row = database.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()",
        [APPLICATION],
    ).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_change_is_told_by_its_notification_without_any_poll(
    database_url: str, database: psycopg.Connection
) -> None:
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        for number in range(1, 20):
            make_item(database, name=f"Item {number}")
            await follower.until_told(number)
        assert [json.loads(text)["name"] for text in follower.payloads] == follower.names()
        assert follower.resyncs == 1


async def test_a_change_carries_both_sides_and_what_the_database_searches(
    database_url: str, database: psycopg.Connection
) -> None:
    item_id = make_item(database, name="ÄPFEL ", quantity=3, unit="kg", location="A", reorder_level=1)
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        database.execute("UPDATE inventory SET quantity = 2, unit = NULL")
        database.execute("TRUNCATE inventory")
        await follower.until_told(2)
        before = ItemState("ÄPFEL ", 3, "kg", "A", 1, None, "äpfel", "äpfel", "kg", "a", None)
        after = ItemState("ÄPFEL ", 2, None, "A", 1, None, "äpfel", "äpfel", None, "a", None)
        query = "SELECT xid::text::bigint FROM inventory_changes WHERE id > 1 ORDER BY id"
        (updated,), (truncated,) = database.execute(query).fetchall()
        assert follower.changes == [
            Change(2, updated, "update", item_id, before, after),
            Change(3, truncated, "truncate", None, None, None),
        ]


async def test_a_transaction_that_commits_late_is_told_when_it_does(
    database_url: str, database: psycopg.Connection
) -> None:
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        with closing(psycopg.connect(database_url)) as slow:
            make_item(slow, name="first written")
            make_item(database, name="first committed")
            await follower.until_told(1)
            make_item(slow, name="still open")
            slow.commit()
        await follower.until_told(3)
        assert follower.names() == ["first committed", "first written", "still open"]


async def test_what_is_rolled_back_is_never_told(database_url: str, database: psycopg.Connection) -> None:
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        with database.transaction(force_rollback=True):
            make_item(database, name="rolled back")
        make_item(database, name="kept")
        await follower.until_told(1)
        assert follower.names() == ["kept"]


async def test_5000_changes_are_told_and_more_are_not_read(database_url: str, database: psycopg.Connection) -> None:
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        make_items(database, MAX_CHANGES)
        await follower.until_told(MAX_CHANGES)
        assert follower.resyncs == 1
        with database.transaction():
            database.execute("UPDATE inventory SET quantity = quantity + 1")
            make_item(database, name="one more")
        await follower.until(lambda: follower.resyncs == 2)
        make_item(database, name="the last")
        await follower.until_told(MAX_CHANGES + 1)
        assert follower.names()[MAX_CHANGES:] == ["the last"]


async def test_whatever_tells_of_a_change_is_a_hint(database_url: str, database: psycopg.Connection) -> None:
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        told = 0
        for statement, changes in (
            ("INSERT INTO inventory (name, quantity) VALUES ('\"op\"', 1)", 1),
            ("UPDATE inventory SET quantity = 2", 1),
            ("DELETE FROM inventory", 1),
            ("INSERT INTO inventory (name, quantity) SELECT 'item ' || i, i FROM generate_series(1, 51) i", 51),
            ("TRUNCATE inventory", 1),
            ("ALTER TABLE inventory DISABLE TRIGGER inventory_version_starts", 0),
            ("INSERT INTO inventory (name, quantity, location) VALUES ('a', 1, repeat('x', 9000))", 1),
        ):
            database.execute(statement)
            told += changes
            await follower.until_told(told)
        with hushed_writers(database_url) as courier:
            for most_payloads in (10, 1):
                cursor = courier.execute("SELECT cursor::text FROM inventory_position").fetchone()
                database.execute("INSERT INTO inventory (name, quantity) VALUES ('b', 1), ('c', 2)")
                database.execute("DELETE FROM inventory WHERE name IN ('b', 'c')")
                assert len(follower.changes) == told
                limits = {"barrier": None, "limit": most_payloads}
                courier.execute(QUERIES["courier_round"], {"cursor": cursor and cursor[0], **limits})
                told += 4
                await follower.until_told(told)


async def test_what_others_say_is_heard_and_nothing_is_read_for_it(
    database_url: str, database: psycopg.Connection, queries: list[str]
) -> None:
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        queries.clear()
        texts = ["hello", '{"change": 1}', "😀\n\\", '["op": "update", "change": 1]']
        for number, text in enumerate(texts, 1):
            database.execute("SELECT pg_notify('messages_channel', %s)", [text])
            await follower.until_heard(number)
        assert queries == []
        texts.append('{"op": "forged", "change": 1}')
        database.execute("SELECT pg_notify('messages_channel', %s)", [texts[-1]])
        await follower.until(lambda: queries == ["changes_since"])
        assert follower.payloads == texts
        assert not follower.changes


async def test_however_much_others_say_the_log_is_read_in_time(database_url: str, database: psycopg.Connection) -> None:
    async with follow(database_url, safety_poll_s=0.2) as follower:
        with hushed_writers(database_url) as talker:
            make_item(database)
            async with asyncio.timeout(20):
                while not follower.changes:
                    talker.execute("NOTIFY messages_channel, 'hello'")
                    await follower.until_heard(len(follower.payloads) + 1)


async def test_however_much_others_say_at_once_everything_else_goes_on(
    database_url: str, database: psycopg.Connection
) -> None:
    async with follow(database_url, safety_poll_s=NEVER_S) as follower:
        database.execute("SELECT pg_notify('messages_channel', repeat('x', 1000) || n) FROM generate_series(1, 5000) n")
        heard = [len(follower.payloads)]
        async with asyncio.timeout(20):
            while heard[-1] < 5000:
                await asyncio.sleep(0)
                heard.append(len(follower.payloads))
        assert max(after - before for before, after in pairwise(heard)) < 100


async def test_behind_a_pooler_that_lets_nothing_be_heard_the_safety_poll_tells(
    database_url: str, database: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with Proxy(database_url, is_pooler=True).serve() as url, follow(url, safety_poll_s=0.02) as follower:
        for number in range(1, 4):
            make_item(database)
            await follower.until_told(number)
        assert follower.payloads == []
    assert "set LISTEN_DATABASE_URL" in caplog.text


async def test_what_the_role_prefers_elsewhere_does_the_feed_no_harm(
    database_url: str, database: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    for setting in (
        "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'",
        "idle_session_timeout = '100ms'",
        "client_encoding = 'LATIN1'",
        "search_path = ''",
    ):
        database.execute(f'ALTER DATABASE "{database.info.dbname}" SET {setting}'.encode())
    async with follow(database_url, safety_poll_s=0.3) as follower:
        make_item(database, name="№ 1 😀")
        await follower.until_told(1)
        caplog.clear()  # where the machine is slow, a connection may have ended before it was tuned
        certain_at = follower.listener.certain_at
        await follower.until(lambda: follower.listener.certain_at > certain_at + 0.6)
        assert follower.names() == ["№ 1 😀"]
    assert "interrupted" not in caplog.text


async def test_a_locked_log_is_waited_for_without_heaping_up_connections(
    database_url: str, database: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with follow(database_url, safety_poll_s=0.02, answer_limit_s=0.1) as follower:
        with database.transaction():
            make_item(database, name="behind the lock")
            database.execute("LOCK TABLE inventory_changes")
            await follower.until(lambda: caplog.text.count("interrupted") >= 3)
            assert listeners(database) <= 2
            assert not follower.listener.is_certain(within_s=0.1)
        await follower.until_told(1)
        assert follower.names() == ["behind the lock"]
        assert follower.resyncs == 1


def test_the_pause_stays_short_however_long_the_server_is_away() -> None:
    assert max(pause_s(failures) for failures in range(3000)) <= LONGEST_PAUSE_S


async def test_a_listener_that_is_stopped_leaves_no_connection(database_url: str, database: psycopg.Connection) -> None:
    async with follow(database_url):
        assert listeners(database) == 1
    await asyncio.to_thread(eventually, lambda: not listeners(database))
