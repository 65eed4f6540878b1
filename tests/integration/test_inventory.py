"""What can be done with items: nothing is lost, written over or done for nobody."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.factories import make_item
from tests.integration.stories import quantity
from webapp.postgres.database import Database
from webapp.postgres.pool import Pool, open_pool
from webapp.stock import inventory
from webapp.stock.items import (
    Author,
    CodeTaken,
    EditConflict,
    NameTaken,
    NewItem,
    NoSuchItem,
    NotEnough,
    Seen,
)

ANNA = Author(source="page", actor="anna")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(Database(database_url, database_url)) as opened:
        yield opened


async def test_of_a_hundred_who_take_the_last_ten_ten_succeed(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=10)
    results = await asyncio.gather(*(inventory.take(pool, apples, 1, ANNA) for _ in range(100)), return_exceptions=True)
    assert sum(isinstance(result, NotEnough) for result in results) == 90
    assert sorted(result.quantity for result in results if not isinstance(result, BaseException)) == list(range(10))
    assert quantity(database, apples) == 0
    history = "SELECT sum(after_quantity - before_quantity), count(*) FROM inventory_changes WHERE operation = 'update'"
    assert database.execute(history).fetchone() == (-10, 10)


async def test_an_edit_merges_with_what_others_changed(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, name="apples", quantity=10, location="A", unit="kg")
    seen = await inventory.find_item(pool, apples)
    database.execute("UPDATE inventory SET quantity = 7, location = 'B'")
    mine = {"name": "Apples", "quantity": 10, "unit": "kg", "location": "A"}
    item = await inventory.edit_item(pool, apples, mine, ANNA, Seen(seen.version))
    assert (item.name, item.quantity, item.location) == ("Apples", 7, "B")


async def test_two_edits_of_one_field_are_a_conflict_that_tells_both_sides(
    pool: Pool, database: psycopg.Connection
) -> None:
    apples = make_item(database, name="apples", quantity=10, location="A")
    seen = await inventory.find_item(pool, apples)
    await inventory.edit_item(pool, apples, {"quantity": 8}, Author("page", "bob"), Seen(seen.version))
    with pytest.raises(EditConflict) as caught:
        await inventory.edit_item(pool, apples, {"quantity": 9, "location": "A"}, ANNA, Seen(seen.version))
    conflict = caught.value
    assert (conflict.theirs.quantity, conflict.mine, conflict.fields) == (8, {"quantity": 9}, ("quantity",))
    assert (conflict.who, conflict.how) == ("bob", "page")
    item = await inventory.edit_item(pool, apples, {"quantity": 9}, ANNA, Seen(conflict.theirs.version))
    assert item.quantity == 9


async def test_two_who_make_the_same_edit_agree(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=10)
    for _ in range(2):
        item = await inventory.edit_item(pool, apples, {"quantity": 8}, ANNA, Seen(1))
    assert (item.quantity, item.version) == (8, 2)


async def test_a_version_that_the_log_does_not_know_is_never_written_over(
    pool: Pool, database: psycopg.Connection
) -> None:
    apples = make_item(database, name="apples", quantity=10)
    with pytest.raises(EditConflict) as caught:
        await inventory.edit_item(pool, apples, {"name": "apples", "quantity": 3}, ANNA, Seen(99))
    assert caught.value.fields == ("quantity",)


async def test_an_item_with_the_number_of_one_that_was_truncated_away_is_not_written_over(
    pool: Pool, database: psycopg.Connection
) -> None:
    seen = await inventory.find_item(pool, make_item(database, name="apples", quantity=10))
    database.execute("TRUNCATE inventory RESTART IDENTITY")
    for left in (10, 11):  # its first version, and a later one
        pears = make_item(database, name="pears") if left == 10 else 1
        database.execute("UPDATE inventory SET quantity = %s", [left])
        with pytest.raises(EditConflict) as caught:
            await inventory.edit_item(
                pool, pears, {"name": "apples", "quantity": 9}, ANNA, Seen(seen.version, seen.updated_at)
            )
        assert caught.value.fields == ("name", "quantity")
    await inventory.edit_item(pool, pears, {"name": "plums"}, ANNA, Seen(caught.value.theirs.version))


async def test_what_a_field_cannot_show_is_not_taken_for_an_edit(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, name=" two\nlines ", quantity=10)
    item = await inventory.edit_item(pool, apples, {"name": "twolines", "quantity": 9}, ANNA, Seen(1))
    assert (item.name, item.quantity) == (" two\nlines ", 9)


async def test_names_and_codes_that_are_taken_are_refused(pool: Pool, database: psycopg.Connection) -> None:
    make_item(database, name="apples", code="A-1")
    pears = make_item(database, name="pears")
    with pytest.raises(NameTaken):
        await inventory.edit_item(pool, pears, {"name": "APPLES"}, ANNA)
    with pytest.raises(CodeTaken):
        await inventory.edit_item(pool, pears, {"code": "a-1"}, ANNA)
    with pytest.raises(CodeTaken):
        await inventory.add_item(pool, NewItem("plums", 1, code="a-1 "), ANNA)


async def test_a_write_says_who_how_and_why(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=10)
    await inventory.take(pool, apples, 3, Author("api", "anna", reason="spilt"))
    told = "SELECT actor, source, reason, undoes FROM inventory_changes ORDER BY id DESC LIMIT 1"
    assert database.execute(told).fetchone() == ("anna", "api", "spilt", None)


@pytest.mark.parametrize("item_id", [0, -1, 99, 2**63, 10**40])
async def test_unknown_ids_name_no_item(pool: Pool, item_id: int) -> None:
    with pytest.raises(NoSuchItem):
        await inventory.edit_item(pool, item_id, {"quantity": 1}, ANNA)
    with pytest.raises(NoSuchItem):
        await inventory.take(pool, item_id, 1, ANNA)
    with pytest.raises(NoSuchItem):
        await inventory.delete_item(pool, item_id, ANNA)
