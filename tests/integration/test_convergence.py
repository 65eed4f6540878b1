"""Random writers, killed connections, a restarted server: at quiet every page equals what SELECT says."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import psycopg
import pytest

from tests.browserless import BrowserlessPage, open_page, until
from tests.server import LiveServer, serve
from webapp.changes import Changes, Touch
from webapp.sources import ItemList

Row = tuple[str, int, int | None, str | None]
QUERIES: dict[str, Callable[[Row], bool]] = {
    "": lambda item: True,
    "q=1": lambda item: "1" in item[0],
    "low=1&sort=quantity": lambda item: item[2] is not None and item[1] <= item[2],
    "location=A&sort=-updated_at": lambda item: item[3] == "A",
    "sort=-quantity&page=2": lambda item: True,
    "q=zzz": lambda item: False,
}
Chance = random.Random
Work = Callable[[psycopg.Connection, Chance], object]


def insert(database: psycopg.Connection, chance: Chance) -> None:
    values = [f"item {chance.randrange(10_000)}", chance.randrange(50), chance.choice([None, 20]), chance.choice("AB")]
    database.execute(
        "INSERT INTO inventory (name, quantity, reorder_level, location) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        values,
    )


def update(database: psycopg.Connection, chance: Chance) -> None:
    statement = chance.choice(
        [
            "UPDATE inventory SET quantity = quantity + 3 WHERE id %% 7 = %s",
            "UPDATE inventory SET location = CASE location WHEN 'A' THEN 'B' ELSE 'A' END WHERE id %% 5 = %s",
            "UPDATE inventory SET name = 'renamed ' || id WHERE id %% 11 = %s",
            "UPDATE inventory SET reorder_level = quantity WHERE id %% 6 = %s",
        ]
    )
    database.execute(statement, [chance.randrange(6)])


def delete(database: psycopg.Connection, chance: Chance) -> None:
    database.execute("DELETE FROM inventory WHERE id %% 9 = %s", [chance.randrange(9)])


def many(database: psycopg.Connection, chance: Chance) -> None:
    database.execute("DELETE FROM inventory WHERE name LIKE 'bulk%'")
    database.execute(
        "INSERT INTO inventory (name, quantity, location) SELECT 'bulk ' || n, n, 'A' FROM generate_series(1, %s) AS n",
        [chance.choice([10, 60, 700, 6000])],
    )


def roll_back(database: psycopg.Connection, chance: Chance) -> None:
    with database.transaction(force_rollback=True):
        update(database, chance)


def truncate(database: psycopg.Connection, chance: Chance) -> None:
    database.execute("TRUNCATE inventory RESTART IDENTITY")
    for _ in range(30):
        insert(database, chance)


def kill(database: psycopg.Connection, chance: Chance) -> None:
    """Terminate the listener's connection, or those of the pool."""
    name = chance.choice(["live-inventory listener", "live-inventory"])
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [name])


WORK: list[Work] = [insert, insert, insert, update, update, update, delete, roll_back, many, truncate, kill, kill]


def expected(database: psycopg.Connection, query: str) -> set[tuple[str, int]]:
    """Return what the view may show, by a plain SELECT; pages are compared by `shows`."""
    rows = database.execute("SELECT name, quantity, reorder_level, location FROM inventory").fetchall()
    return {(row[0], row[1]) for row in rows if QUERIES[query](row)}


def shows(page: BrowserlessPage, fresh: BrowserlessPage, truth: set[tuple[str, int]]) -> bool:
    """Whether a page shows what a fresh one does, and that is the truth."""
    count = len(truth)
    return (
        page.items() == fresh.items()
        and set(page.items()) <= truth
        and (len(page.items()) == min(count, 50) or "page=2" in page.query)
        and all(page.text(name) == fresh.text(name) for name in ("matches", "totals", "pager"))
        and list(page.lists["activity"]) == list(fresh.lists["activity"])
    )


async def churn(database: psycopg.Connection, chance: Chance, steps: int) -> None:
    for _ in range(steps):
        await asyncio.to_thread(chance.choice(WORK), database, chance)
        await asyncio.sleep(chance.choice([0, 0, 0.01, 0.05]))


async def agree(server: LiveServer, database: psycopg.Connection, pages: list[BrowserlessPage]) -> bool:
    for page in pages:
        fresh = BrowserlessPage(server, page.query)
        await fresh.open()
        if not shows(page, fresh, expected(database, page.query)):
            return False
    return True


async def eventually_agree(
    server: LiveServer, database: psycopg.Connection, pages: list[BrowserlessPage], within_s: float = 15
) -> bool:
    ends_at = time.monotonic() + within_s
    while not (agreed := await agree(server, database, pages)) and time.monotonic() < ends_at:  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    return agreed


async def stir(
    server: LiveServer, database: psycopg.Connection, seed: int, *, steps: int = 60, within_s: float = 15
) -> bool:
    """Let pages watch a churn; return whether all agree with the truth within a while."""
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(open_page(server, query)) for query in QUERIES for _ in range(2)]
        await until(lambda: all(page.beats for page in pages))
        await churn(database, random.Random(seed), steps)
        insert(database, random.Random(seed + 1000))  # nothing comes after it that would cover it up
        return await eventually_agree(server, database, pages, within_s)


@pytest.fixture
def server(database_url: str) -> Iterator[LiveServer]:
    with serve(database_url) as running:
        yield running


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_page_ends_at_what_select_says(server: LiveServer, database: psycopg.Connection, seed: int) -> None:
    assert await stir(server, database, seed)


async def test_a_server_restarted_meanwhile_changes_nothing(database_url: str, database: psycopg.Connection) -> None:
    with serve(database_url) as first:
        page = BrowserlessPage(first)
        await page.open()
        following = asyncio.create_task(page.follow())
        await until(lambda: page.beats)
        await churn(database, random.Random(4), 10)
    await churn(database, random.Random(5), 10)
    with serve(database_url, port=first.port) as second:
        await churn(database, random.Random(6), 10)
        assert await eventually_agree(second, database, [page])
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_the_control_a_view_that_is_deaf_to_new_items_is_caught(
    server: LiveServer, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    hears = ItemList.touched_by

    def deaf(self: ItemList, changes: Changes) -> Touch:
        return hears(self, Changes(tuple(change for change in changes.changes if change.operation != "insert")))

    monkeypatch.setattr(ItemList, "touched_by", deaf)
    assert not await stir(server, database, seed=7, steps=0, within_s=2)
