"""The courier: while it is busy one process notifies for all writers, and whoever listens hears as much as before."""

import asyncio
import json
from contextlib import closing, suppress
from typing import Any

import psycopg
import pytest

from tests.couriers import APPLICATION, EAGER, NEVER_S, Consumer, HastyCourier, at_work, consuming, stress
from tests.factories import make_item
from tests.follower import Proxy, follow
from tests.waiting import until
from webapp.live.courier import MOST_PAYLOADS, Courier
from webapp.live.feed import DedicatedConnection

STAYING: dict[str, Any] = {"rush_transactions": 1, "calm_for_s": NEVER_S}
HUSH, SEAT = 301858818, 301858819


class Stunned(Courier):
    """Makes writers hold still, and says nothing for them."""

    async def _announce_while_busy(self, connection: DedicatedConnection) -> None:
        await asyncio.sleep(NEVER_S)


def is_owed(database: psycopg.Connection) -> bool:
    return database.execute("SELECT FROM inventory_courier").fetchone() is not None


def courier_pids(database: psycopg.Connection) -> list[int]:
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()"
    return [pid for (pid,) in database.execute(query, [APPLICATION])]


def held_locks(database: psycopg.Connection) -> list[int]:
    query = (
        "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return sorted(key for (key,) in database.execute(query))


async def become_busy(database: psycopg.Connection, courier: Courier) -> None:
    make_item(database)
    await until(lambda: courier.is_busy)


async def hears_all(consumer: Consumer, *names: str) -> None:
    await until(lambda: set(names) <= consumer.latest.keys())


async def hears(consumer: Consumer, database: psycopg.Connection, name: str) -> bool:
    """Whether the name is heard before a word that is sent now."""
    database.execute("""NOTIFY messages_channel, '{"the": "end"}'""")
    await until(lambda: '{"the": "end"}' in consumer.payloads)
    consumer.payloads.remove('{"the": "end"}')
    return name in consumer.latest


async def test_busy_writers_are_silent_and_the_courier_speaks_for_them(
    database_url: str, database: psycopg.Connection
) -> None:
    async with consuming(database_url) as consumer, at_work(database_url, **STAYING) as courier:
        await become_busy(database, courier)
        consumer.senders.clear()
        for number in range(20):
            make_item(database, name=f"item of {number}")
        await until(lambda: all(f"item of {number}" in consumer.latest for number in range(20)))
        assert consumer.senders == set(courier_pids(database))


async def test_a_rush_makes_it_busy_and_calm_ends_it_with_nothing_owed(
    database_url: str, database: psycopg.Connection
) -> None:
    async with at_work(database_url, calm_for_s=0.1) as courier:
        make_item(database)
        for _ in range(200):
            if courier.is_busy:
                break
            database.execute("UPDATE inventory SET quantity = quantity + 1")
            await asyncio.sleep(0)
        await until(lambda: courier.is_busy)
        assert is_owed(database)
        await until(lambda: not courier.is_busy and not is_owed(database))
        await until(lambda: held_locks(database) == [])


async def test_back_and_forth_nothing_is_lost(database_url: str) -> None:
    outcome = await stress(database_url, seconds=2)
    assert outcome.shifts >= 5
    assert outcome.unheard == 0


@pytest.mark.parametrize("kind", [Courier, HastyCourier])
async def test_who_wrote_while_it_was_busy_and_commits_when_it_is_calm_is_heard(
    database_url: str, database: psycopg.Connection, kind: type[Courier]
) -> None:
    """Without the barrier this word is lost: the control."""
    async with consuming(database_url) as consumer, at_work(database_url, kind, **EAGER) as courier:
        await become_busy(database, courier)
        with closing(psycopg.connect(database_url)) as slow:
            make_item(slow, name="slow")
            await until(lambda: not courier.is_busy and (kind is Courier or not is_owed(database)))
            assert is_owed(database) == (kind is Courier)
            slow.commit()
        if kind is Courier:
            await until(lambda: "slow" in consumer.latest)
            await until(lambda: not courier.is_busy and not is_owed(database))
        else:
            assert not await hears(consumer, database, "slow")


async def test_a_hand_over_that_takes_long_keeps_nobody_waiting(
    database_url: str, database: psycopg.Connection
) -> None:
    async with consuming(database_url) as consumer, at_work(database_url, calm_for_s=0.02) as courier:
        with closing(psycopg.connect(database_url)) as slow:
            make_item(slow, name="slow")
            courier._rush.set()
            await until(lambda: is_owed(database))
            await until(lambda: not courier.is_busy and held_locks(database) == [SEAT])
            make_item(database, name="quick")
            assert await hears(consumer, database, "quick"), "its writer rings"
            assert is_owed(database)
            slow.commit()
        await until(lambda: "slow" in consumer.latest and not is_owed(database))


@pytest.mark.parametrize("is_noted", [True, False])
async def test_what_a_dead_courier_left_undone_is_announced_by_the_next(
    database_url: str,
    database: psycopg.Connection,
    is_noted: bool,  # noqa: FBT001
) -> None:
    """Without the note this word is lost: the control."""
    async with consuming(database_url) as consumer:
        async with at_work(database_url, Stunned, **EAGER) as courier:
            await become_busy(database, courier)
            make_item(database, name="left undone")
            assert not await hears(consumer, database, "left undone")
        if not is_noted:
            database.execute("DELETE FROM inventory_courier")
        async with at_work(database_url, rush_transactions=1000, calm_for_s=0.02):
            if is_noted:
                await until(lambda: "left undone" in consumer.latest)
                await until(lambda: not is_owed(database))
            else:
                make_item(database, name="later")
                await until(lambda: "later" in consumer.latest)
                assert "left undone" not in consumer.latest


async def test_a_courier_whose_connection_is_killed_comes_back(
    database_url: str, database: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with consuming(database_url) as consumer, at_work(database_url, **STAYING) as courier:
        for number in range(3):
            await become_busy(database, courier)
            make_item(database, name=f"before {number}")
            (pid,) = courier_pids(database)
            database.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            make_item(database, name=f"after {number}")
            await hears_all(consumer, f"before {number}", f"after {number}")
    assert "courier interrupted" in caplog.text


async def test_a_frozen_couriers_place_is_taken(database_url: str, database: psycopg.Connection) -> None:
    async with (
        consuming(database_url) as consumer,
        at_work(database_url, Stunned, silence_limit_s=0.3, **EAGER) as frozen,
        at_work(database_url, rush_transactions=1000),
    ):
        await become_busy(database, frozen)
        make_item(database, name="meanwhile")
        await until(lambda: "meanwhile" in consumer.latest)


async def test_of_two_processes_one_is_the_courier(database_url: str, database: psycopg.Connection) -> None:
    async with at_work(database_url, **STAYING) as one, at_work(database_url, **STAYING) as other:
        make_item(database)
        await until(lambda: one.is_busy or other.is_busy)
        for _ in range(20):
            database.execute("UPDATE inventory SET quantity = quantity + 1")
            await asyncio.sleep(0.02)
            assert one.is_busy != other.is_busy
            assert held_locks(database) == [HUSH, SEAT]


async def test_a_rolled_back_or_cancelled_writer_leaves_no_lock(
    database_url: str, database: psycopg.Connection
) -> None:
    with closing(psycopg.connect(database_url)) as writer:
        make_item(writer)
        for _ in range(3):
            with writer.transaction(force_rollback=True):
                make_item(writer)
            with suppress(psycopg.errors.QueryCanceled), writer.transaction():
                writer.execute("SET LOCAL statement_timeout = '10ms'")
                writer.execute("UPDATE inventory SET quantity = quantity + 1")
                writer.execute("SELECT pg_sleep(9)")
        assert held_locks(database) == []
        writer.rollback()
    assert held_locks(database) == []


async def test_nobody_waits_for_a_stranger_who_holds_the_lock(database_url: str, database: psycopg.Connection) -> None:
    with closing(psycopg.connect(database_url, autocommit=True)) as stranger:
        stranger.execute("SELECT pg_advisory_lock(%s)", [HUSH])
        async with (
            consuming(database_url) as consumer,
            follow(database_url, safety_poll_s=0.02) as follower,
            at_work(database_url, safety_poll_s=0.02, **EAGER) as courier,
        ):
            database.execute("SET statement_timeout = '5s'")
            for number in range(5):
                make_item(database, name=f"item {number} in silence")
            await follower.until_told(5)
            assert not courier.is_busy
            assert held_locks(database) in ([HUSH], [HUSH, SEAT])
            stranger.close()
            await until(lambda: HUSH not in held_locks(database) or courier.is_busy)
            make_item(database, name="heard again")
            await until(lambda: "heard again" in consumer.latest)


STATEMENTS: list[tuple[str, list[Any]]] = [
    ("TRUNCATE inventory", []),
    (
        "INSERT INTO inventory (name, quantity, unit, location, reorder_level, code) VALUES (%s, 1, '\"', %s, 2, %s)",
        ["😀\\" * 50, "\u2028\x01" * 100, "</script>"],
    ),
    ("UPDATE inventory SET quantity = 9223372036854775807, unit = NULL", []),
    ("DELETE FROM inventory", []),
    ("INSERT INTO inventory (name, quantity, location) VALUES ('far', 1, %s)", ["x" * 10_000]),
]


async def test_the_couriers_words_are_the_writers_own(database_url: str, database: psycopg.Connection) -> None:
    database.execute("ALTER TABLE inventory DISABLE TRIGGER inventory_version_starts")  # so long a text is refused

    async def everything(consumer: Consumer) -> list[dict[str, Any]]:
        heard = []
        consumer.payloads.clear()
        for text, values in STATEMENTS:
            database.execute(text.encode(), values)
            heard.append(json.loads(await consumer.next_payload()))
        return heard

    async with consuming(database_url) as consumer:
        by_writers = await everything(consumer)
        async with at_work(database_url, **STAYING) as courier:
            await become_busy(database, courier)
            await hears(consumer, database, "")
            by_courier = await everything(consumer)
    for word in by_writers + by_courier:
        word.pop("change")
        word.pop("id", None)
    assert by_courier == by_writers


async def test_many_items_at_once_are_announced_in_one_word(database_url: str, database: psycopg.Connection) -> None:
    async with consuming(database_url) as consumer, at_work(database_url, **STAYING) as courier:
        await become_busy(database, courier)
        query = "INSERT INTO inventory (name, quantity) SELECT 'many ' || i, i FROM generate_series(1, %s) AS i"
        database.execute(query, [MOST_PAYLOADS + 1])
        await until(lambda: json.loads(consumer.payloads[-1]).get("op") == "bulk")
        assert json.loads(consumer.payloads[-1])["count"] == MOST_PAYLOADS + 1
        assert not any(name.startswith("many") for name in consumer.latest)


async def test_behind_a_pooler_there_is_no_courier(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with Proxy(database_url, is_pooler=True).serve() as url:
        await asyncio.wait_for(Courier(url).run(), 10)
    assert caplog.text.count("no courier") == 1
