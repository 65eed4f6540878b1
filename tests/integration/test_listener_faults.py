"""The change feed through restarts, restores and silent networks: never a silent gap."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.factories import make_item
from tests.follower import Follower, Proxy, follow
from tests.integration.test_doctor import wrong
from tests.waiting import eventually
from webapp.postgres.embedded import EmbeddedServer
from webapp.postgres.migrations import migrate
from webapp.postgres.queries import QUERIES

FUTURE = 10**15
OTHERS_WORD = "SELECT pg_notify('messages_channel', repeat('x', 7000))"


@pytest.fixture
def server() -> Iterator[EmbeddedServer]:
    """A migrated server of the test's own, that it may stop."""
    folder = Path(tempfile.mkdtemp(prefix="live-inventory-test-"))
    folder.chmod(0o755)
    server = EmbeddedServer(folder / "postgres", durable=False)
    try:
        migrate(server.start())
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


async def still_tells(follower: Follower, database: psycopg.Connection) -> None:
    """Fail unless the next change is told, once, and nothing else."""
    known = len(follower.changes)
    make_item(database, name=f"item after {known}")
    await follower.until(lambda: f"item after {known}" in follower.names())
    make_item(database, name=f"item after that after {known}")
    await follower.until(lambda: f"item after that after {known}" in follower.names())
    assert len(follower.changes) == known + 2


async def test_a_server_that_was_away_is_caught_up_with(server: EmbeddedServer) -> None:
    async with follow(server.url) as follower:
        await asyncio.to_thread(server.stop)
        await follower.until(lambda: not follower.listener.is_certain(within_s=0.2))
        await asyncio.to_thread(server.start)
        await follower.until(lambda: follower.resyncs == 2)
        with closing(psycopg.connect(server.url, autocommit=True)) as database:
            await still_tells(follower, database)


async def test_a_full_notification_queue_never_fails_a_writer(server: EmbeddedServer) -> None:
    with closing(psycopg.connect(server.url, autocommit=True)) as database:
        if not database.execute("SELECT 1 FROM pg_settings WHERE name = 'max_notify_queue_pages'").fetchone():
            pytest.skip("this server's queue holds 8 GB")
        database.execute("ALTER SYSTEM SET max_notify_queue_pages = 64")
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    with (
        closing(psycopg.connect(server.url)) as idler,
        closing(psycopg.connect(server.url, autocommit=True)) as database,
    ):
        idler.execute("LISTEN messages_channel")
        idler.commit()
        idler.execute("SELECT 1")  # from now on in a transaction, where it hears nothing and the queue must keep all
        async with follow(server.url, safety_poll_s=0.02) as follower:
            database.execute(
                "INSERT INTO inventory (name, quantity, location)"
                " SELECT 'many ' || i, 0, repeat('x', 200) FROM generate_series(1, 50) i"
            )
            for _ in range(59):
                database.execute("UPDATE inventory SET quantity = quantity + 1")
            await follower.until_told(60 * 50)
            assert len(follower.payloads) < 60 * 50
            with suppress(psycopg.errors.ProgramLimitExceeded):
                while True:
                    database.execute(OTHERS_WORD)
            assert "the queue of notifications is 100% full" in wrong(server.url)
            idler.rollback()
            idler.close()
            with pytest.raises(psycopg.errors.ProgramLimitExceeded):
                database.execute(OTHERS_WORD)  # everybody has heard it all, and yet it stays full
            database.execute(QUERIES["database_state"])  # what each process asks every minute
            database.execute(OTHERS_WORD)
            make_item(database)
            heard = len(follower.payloads)
            make_item(database)
            await follower.until(lambda: len(follower.payloads) > heard)


async def test_a_silent_server_is_noticed_and_nothing_is_lost_or_told_twice(
    database_url: str, database: psycopg.Connection
) -> None:
    proxy = Proxy(database_url)
    async with proxy.serve() as url, follow(url, safety_poll_s=0.05, answer_limit_s=0.3) as follower:
        make_item(database, name="before")
        await follower.until_told(1)
        proxy.freeze()
        make_item(database, name="meanwhile")
        await follower.until(lambda: not follower.listener.is_certain(within_s=0.4))
        assert follower.names() == ["before"]
        proxy.flow()
        await follower.until_told(2)
        make_item(database, name="after")
        await follower.until_told(3)
        assert follower.names() == ["before", "meanwhile", "after"]
        assert follower.resyncs == 1


@pytest.mark.parametrize("settled_by", ["us", "another process"])
async def test_an_emptied_epoch_as_a_crash_leaves_it_starts_anew(
    database_url: str, database: psycopg.Connection, settled_by: str
) -> None:
    async with follow(database_url, safety_poll_s=0.02) as follower:
        with database.transaction():
            database.execute("DELETE FROM inventory_epoch")
            if settled_by == "another process":
                database.execute(QUERIES["settle_epoch"])
        await follower.until(lambda: follower.resyncs == 2)
        await still_tells(follower, database)


async def test_a_log_from_another_cluster_is_told_to_nobody_and_put_into_the_past(
    database_url: str, database: psycopg.Connection
) -> None:
    async with follow(database_url, safety_poll_s=0.02) as follower:
        database.execute(
            "INSERT INTO inventory_changes (xid, operation, item_id, after_name, after_quantity)"
            " SELECT (%s + i)::text::xid8, 'insert', 1, 'from elsewhere', 1 FROM generate_series(1, 11000) AS i",
            [FUTURE],
        )
        await still_tells(follower, database)
        eventually(lambda: _ended_connections(database, database.info.dbname))
        await follower.until(lambda: follower.resyncs == 2)
        await still_tells(follower, database)
    later = database.execute("SELECT count(*) FROM inventory_changes WHERE xid <> '0'").fetchone()
    assert later == (4,), "what was brought is in the past now"


async def test_a_cursor_that_the_server_has_not_come_to_starts_anew(
    database_url: str, database: psycopg.Connection
) -> None:
    async with follow(database_url, safety_poll_s=0.02) as follower:
        make_item(database)
        follower.listener._cursor = f"{FUTURE}:{FUTURE}:"
        await follower.until(lambda: follower.resyncs == 2)
        await still_tells(follower, database)


async def test_a_copy_put_in_the_databases_place_starts_anew(admin_url: str, database_url: str) -> None:
    name = str(psycopg.conninfo.conninfo_to_dict(database_url)["dbname"])
    with closing(psycopg.connect(admin_url, autocommit=True)) as admin:

        def run(statement: str, *names: str) -> None:
            admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

        async with follow(database_url, safety_poll_s=0.02) as follower:
            run("ALTER DATABASE {} ALLOW_CONNECTIONS false", name)
            eventually(lambda: _ended_connections(admin, name))
            run("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name + "_copy", name)
            run("ALTER DATABASE {} RENAME TO {}", name, name + "_old")
            run("ALTER DATABASE {} RENAME TO {}", name + "_copy", name)
            await follower.until(lambda: follower.resyncs == 2)
            with closing(psycopg.connect(database_url, autocommit=True)) as database:
                await still_tells(follower, database)
        run("DROP DATABASE {}", name + "_old")


def _ended_connections(admin: psycopg.Connection, name: str) -> bool:
    found = admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", [name]
    )
    return found.fetchall() == []


async def test_two_processes_agree_on_one_epoch(database_url: str, database: psycopg.Connection) -> None:
    async with follow(database_url) as one, follow(database_url) as other:
        make_item(database)
        await one.until_told(1)
        await other.until_told(1)
        assert one.resyncs == other.resyncs == 1


async def test_a_table_made_anew_starts_anew(database_url: str, database: psycopg.Connection) -> None:
    async with follow(database_url, safety_poll_s=0.02) as follower:
        with database.transaction():
            database.execute("ALTER TABLE inventory RENAME TO old")
            database.execute("CREATE TABLE inventory (LIKE old INCLUDING ALL)")
        await follower.until(lambda: follower.resyncs == 2)
