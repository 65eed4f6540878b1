"""Pages deep in an inventory that changes all the time are counted off in an index alone."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import closing

import psycopg
import pytest

from tests.factories import make_item
from webapp.operations.vacuum import Vacuum
from webapp.postgres.database import Database
from webapp.postgres.pool import open_pool

BY_NAME = 'EXPLAIN (ANALYZE) SELECT name, id FROM inventory ORDER BY inventory_fold(name) COLLATE "C"'


@pytest.fixture
async def vacuum(database_url: str) -> AsyncIterator[Vacuum]:
    async with open_pool(Database(database_url, database_url)) as pool:
        yield Vacuum(pool)


@pytest.fixture
def write(database: psycopg.Connection) -> Callable[[str], None]:
    """Write so that VACUUM can rely on it and the statistics know it, both at once."""

    def write(statement: str) -> None:
        database.execute("SET synchronous_commit = on")
        database.execute(statement.encode())
        database.execute("SELECT pg_stat_force_next_flush()")

    return write


def looked_up(database: psycopg.Connection) -> int:
    """Return how many rows a list by name looks up in the table, since the index alone is not believed."""
    database.execute("SET enable_seqscan = off; SET enable_sort = off")
    plan = "\n".join(line for (line,) in database.execute(BY_NAME))
    (fetches,) = re.findall(r"Heap Fetches: (\d+)", plan)
    return int(fetches)


async def test_rows_that_have_changed_need_not_be_looked_up(
    database: psycopg.Connection, write: Callable[[str], None], vacuum: Vacuum
) -> None:
    make_item(database)
    for quantity in (5, 6):
        write(f"UPDATE inventory SET quantity = {quantity}")
        assert looked_up(database)
        assert await vacuum.vacuum()
        assert not looked_up(database)


async def test_an_inventory_that_has_not_changed_is_left_alone(
    database: psycopg.Connection, write: Callable[[str], None], vacuum: Vacuum
) -> None:
    make_item(database)
    write("UPDATE inventory SET quantity = 5")
    assert await vacuum.vacuum()
    assert not await vacuum.vacuum()


async def test_it_waits_for_nobody_who_has_locked_the_inventory(
    database_url: str, database: psycopg.Connection, write: Callable[[str], None], vacuum: Vacuum
) -> None:
    make_item(database)
    write("UPDATE inventory SET quantity = 5")
    with closing(psycopg.connect(database_url)) as other:
        other.execute("LOCK TABLE inventory")
        assert await vacuum.vacuum()
