"""Old history is removed a little at a time; nobody who reads the log misses anything without being told."""

from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.follower import follow
from tests.server import serve
from tests.waiting import until
from webapp.operations import pruning
from webapp.operations.pruning import Pruner
from webapp.postgres.database import Database
from webapp.postgres.pool import Pool, open_pool

DAYS = 30


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(Database(database_url, database_url)) as opened:
        yield opened


@pytest.fixture
def pruner(pool: Pool) -> Pruner:
    return Pruner(pool, DAYS, grace_s=0)


def make_old(database: psycopg.Connection, count: int = 1) -> None:
    """Make items whose changes were logged long ago."""
    for _ in range(count):
        make_item(database)
    database.execute("UPDATE inventory_changes SET changed_at = now() - interval '31 days'")


def logged(database: psycopg.Connection) -> int:
    row = database.execute("SELECT count(*) FROM inventory_changes").fetchone()
    assert row
    return int(row[0])


async def test_what_is_too_old_is_removed_in_batches_and_the_rest_stays(
    database: psycopg.Connection, pruner: Pruner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "AT_A_TIME", 2)
    make_old(database, 5)
    make_item(database, name="new")
    assert await pruner.prune() == 0  # the horizon is moved first
    assert await pruner.prune() == 5
    assert await pruner.prune() == 0
    assert database.execute("SELECT after_name FROM inventory_changes").fetchall() == [("new",)]
    assert database.execute("SELECT count(*) FROM inventory").fetchone() == (6,)


async def test_nothing_is_removed_before_the_horizon_has_stood_for_a_while(
    database: psycopg.Connection, pool: Pool
) -> None:
    make_old(database)
    patient = Pruner(pool, DAYS)
    assert [await patient.prune() for _ in range(2)] == [0, 0]
    assert logged(database) == 1


async def test_one_process_removes_at_a_time_and_none_waits_for_a_row_that_is_in_use(
    database: psycopg.Connection, database_url: str, pruner: Pruner
) -> None:
    make_old(database, 2)
    await pruner.prune()
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(301858820)")
        assert await pruner.prune() == 0
        other.rollback()
        other.execute("SELECT FROM inventory_changes ORDER BY id LIMIT 1 FOR UPDATE")
        assert await pruner.prune() == 1
    assert await pruner.prune() == 1


async def test_what_an_open_transaction_or_the_courier_may_still_need_stays(
    database: psycopg.Connection, database_url: str, pruner: Pruner
) -> None:
    with psycopg.connect(database_url) as slow:
        slow.execute("SELECT pg_current_xact_id()")
        make_old(database)
        assert [await pruner.prune() for _ in range(2)] == [0, 0]
    database.execute("INSERT INTO inventory_courier VALUES (TRUE, '3:3:', 'an epoch')")
    assert [await pruner.prune() for _ in range(2)] == [0, 0]
    database.execute("DELETE FROM inventory_courier")
    assert [await pruner.prune() for _ in range(2)] == [0, 1]


async def test_a_listener_that_was_away_for_too_long_shows_everything_afresh(
    database: psycopg.Connection, database_url: str, pruner: Pruner
) -> None:
    async with follow(database_url) as follower:
        await follower.until(lambda: follower.resyncs == 1)
        listener = follower.listener
        old = listener._cursor
        make_old(database)
        await follower.until_told(1)
        await pruner.prune()
        make_item(database)
        await follower.until_told(2)
        assert follower.resyncs == 1  # who has read it misses nothing
        listener._cursor = old
        await follower.until(lambda: follower.resyncs == 2)


async def test_cursors_of_programs_are_good_or_told(
    database: psycopg.Connection, pruner: Pruner, database_url: str
) -> None:
    with serve(database_url) as server:

        async def changes(cursor: str | None = None) -> httpx.Response:
            async with httpx.AsyncClient(base_url=server.url, verify=False) as client:
                return await client.get("/api/changes", params={"after": cursor} if cursor else {})

        await until(server.app.state.hub.is_certain)  # the log is checked at the start
        old = (await changes()).json()["cursor"]
        make_old(database)
        new = (await changes()).json()["cursor"]
        await pruner.prune()
        refused = await changes(old)
        assert (refused.status_code, refused.json()["type"]) == (410, "/api#unusable-cursor")
        assert "older than it is kept" in refused.json()["detail"]
        assert (await changes(new)).json()["changes"] == []


async def test_an_item_says_that_its_history_does_not_reach_back_and_what_is_gone_cannot_be_undone(
    database: psycopg.Connection, pruner: Pruner, pool: Pool, database_url: str
) -> None:
    item = make_item(database, name="old")
    database.execute("UPDATE inventory_changes SET changed_at = now() - interval '31 days'")
    database.execute("UPDATE inventory SET quantity = 11")
    with serve(database_url) as server:
        async with httpx.AsyncClient(base_url=server.url, verify=False) as client:
            assert "are no longer kept" not in (await client.get(f"/items/{item}")).text
            assert [await pruner.prune() for _ in range(2)] == [0, 1]
            assert "are no longer kept" in (await client.get(f"/items/{item}")).text
            answer = await client.post("/changes/1/undo")
    assert answer.status_code == 409
    assert "no longer kept" in answer.text
