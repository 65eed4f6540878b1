"""Undo: what it gives back, and why it sometimes cannot."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.factories import make_item
from tests.integration.stories import newest_change, quantity
from webapp.postgres.database import Database
from webapp.postgres.pool import Pool, open_pool
from webapp.stock import inventory
from webapp.stock.items import Author, CannotUndo
from webapp.stock.undo import undo_change

ANNA = Author(source="page", actor="anna")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(Database(database_url, database_url)) as opened:
        yield opened


async def test_undo_gives_back_what_was_taken_whatever_came_after(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=10)
    await inventory.take(pool, apples, 4, ANNA)
    taken = newest_change(database)
    await inventory.put(pool, apples, 1, ANNA)
    await undo_change(pool, taken, ANNA)
    assert quantity(database, apples) == 11
    assert database.execute("SELECT undoes FROM inventory_changes ORDER BY id DESC LIMIT 1").fetchone() == (taken,)


async def test_an_undo_can_be_undone(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=10)
    await inventory.take(pool, apples, 4, ANNA)
    for expected in (10, 6, 10):
        await undo_change(pool, newest_change(database), ANNA)
        assert quantity(database, apples) == expected


async def test_undo_brings_a_deleted_item_back_with_its_id_and_its_version_goes_on(
    pool: Pool, database: psycopg.Connection
) -> None:
    apples = make_item(database, name="apples", quantity=10, code="A-1")
    await inventory.take(pool, apples, 4, ANNA)
    await inventory.delete_item(pool, apples, ANNA)
    await undo_change(pool, newest_change(database), ANNA)
    item = await inventory.find_item(pool, apples)
    assert (item.id, item.name, item.quantity, item.code, item.version) == (apples, "apples", 6, "A-1", 3)


async def test_undo_takes_away_an_item_that_was_added(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database)
    await undo_change(pool, newest_change(database), ANNA)
    assert quantity(database, apples) is None


async def test_undo_says_when_it_cannot(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, name="apples", quantity=10)
    added = newest_change(database)
    await inventory.put(pool, apples, 5, ANNA)
    put = newest_change(database)
    await inventory.take(pool, apples, 12, ANNA)
    await inventory.edit_item(pool, apples, {"name": "Apples"}, ANNA)
    renamed = newest_change(database)
    await inventory.edit_item(pool, apples, {"name": "APPLES"}, ANNA)
    for change, why in ((added, "changed since"), (put, "below zero"), (renamed, "changed again"), (99, "no such")):
        with pytest.raises(CannotUndo, match=why):
            await undo_change(pool, change, ANNA)
    await inventory.delete_item(pool, apples, ANNA)
    deleted = newest_change(database)
    with pytest.raises(CannotUndo, match="deleted since"):
        await undo_change(pool, put, ANNA)
    make_item(database, name="apples")
    with pytest.raises(CannotUndo, match="in use again"):
        await undo_change(pool, deleted, ANNA)
    pears = make_item(database, name="pears")
    await inventory.edit_item(pool, pears, {"name": "plums"}, ANNA)
    renamed = newest_change(database)
    make_item(database, name="PEARS")
    with pytest.raises(CannotUndo, match="in use again"):
        await undo_change(pool, renamed, ANNA)
    database.execute("TRUNCATE inventory")
    with pytest.raises(CannotUndo, match="all at once"):
        await undo_change(pool, newest_change(database), ANNA)


async def test_undo_never_passes_what_a_quantity_can_hold(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=2**63 - 1)
    await inventory.take(pool, apples, 2**63 - 1, ANNA)
    taken = newest_change(database)
    await inventory.put(pool, apples, 5, ANNA)
    with pytest.raises(CannotUndo, match="cannot hold more"):
        await undo_change(pool, taken, ANNA)


async def test_undo_leaves_an_item_alone_that_only_has_the_number_of_another(
    pool: Pool, database: psycopg.Connection
) -> None:
    make_item(database, name="apples")
    added = newest_change(database)
    database.execute("TRUNCATE inventory RESTART IDENTITY")
    grapes = make_item(database, name="grapes")
    with pytest.raises(CannotUndo, match="removed since"):
        await undo_change(pool, added, ANNA)
    assert quantity(database, grapes) == 10


async def test_an_undo_takes_no_number_that_is_still_to_be_given(pool: Pool, database: psycopg.Connection) -> None:
    make_item(database, name="apples")
    await inventory.delete_item(pool, make_item(database, name="pears"), ANNA)
    deleted = newest_change(database)
    database.execute("TRUNCATE inventory RESTART IDENTITY")
    with pytest.raises(CannotUndo, match="removed since"):
        await undo_change(pool, deleted, ANNA)
    assert [make_item(database) for _ in range(2)] == [1, 2]


async def test_what_is_old_stays(pool: Pool, database: psycopg.Connection) -> None:
    make_item(database)
    database.execute("UPDATE inventory_changes SET changed_at = now() - interval '25 hours'")
    with pytest.raises(CannotUndo, match="last 24 hours"):
        await undo_change(pool, newest_change(database), ANNA)


async def test_of_many_who_undo_the_same_change_one_succeeds(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=10)
    await inventory.take(pool, apples, 4, ANNA)
    taken = newest_change(database)
    results = await asyncio.gather(*(undo_change(pool, taken, ANNA) for _ in range(10)), return_exceptions=True)
    assert [result for result in results if result is None] == [None]
    assert all(isinstance(result, CannotUndo) for result in results if result is not None)
    assert quantity(database, apples) == 10
