import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from tests.factories import make_item
from webapp.postgres.database import Database
from webapp.postgres.pool import Pool, open_pool
from webapp.stock import inventory
from webapp.stock.items import (
    Author,
    CannotUndo,
    CodeTaken,
    EditConflict,
    NameTaken,
    NewItem,
    NoSuchItem,
    NotEnough,
    Seen,
)
from webapp.stock.undo import undo_change

ANNA = Author(source="page", actor="anna")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(Database(database_url, database_url)) as opened:
        yield opened


def quantity(database: psycopg.Connection, item_id: int) -> object:
    row = database.execute("SELECT quantity FROM inventory WHERE id = %s", [item_id]).fetchone()
    return row[0] if row else None


def last_change(database: psycopg.Connection) -> int:
    row = database.execute("SELECT max(id) FROM inventory_changes").fetchone()
    assert row
    return int(row[0])


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
    for quantity in (10, 11):  # its first version, and a later one
        pears = make_item(database, name="pears") if quantity == 10 else 1
        database.execute("UPDATE inventory SET quantity = %s", [quantity])
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


async def test_undo_gives_back_what_was_taken_whatever_came_after(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=10)
    await inventory.take(pool, apples, 4, ANNA)
    taken = last_change(database)
    await inventory.put(pool, apples, 1, ANNA)
    await undo_change(pool, taken, ANNA)
    assert quantity(database, apples) == 11
    assert database.execute("SELECT undoes FROM inventory_changes ORDER BY id DESC LIMIT 1").fetchone() == (taken,)


async def test_an_undo_can_be_undone(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=10)
    await inventory.take(pool, apples, 4, ANNA)
    for expected in (10, 6, 10):
        await undo_change(pool, last_change(database), ANNA)
        assert quantity(database, apples) == expected


async def test_undo_brings_a_deleted_item_back_with_its_id_and_its_version_goes_on(
    pool: Pool, database: psycopg.Connection
) -> None:
    apples = make_item(database, name="apples", quantity=10, code="A-1")
    await inventory.take(pool, apples, 4, ANNA)
    await inventory.delete_item(pool, apples, ANNA)
    await undo_change(pool, last_change(database), ANNA)
    item = await inventory.find_item(pool, apples)
    assert (item.id, item.name, item.quantity, item.code, item.version) == (apples, "apples", 6, "A-1", 3)


async def test_undo_takes_away_an_item_that_was_added(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database)
    await undo_change(pool, last_change(database), ANNA)
    assert quantity(database, apples) is None


async def test_undo_says_when_it_cannot(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, name="apples", quantity=10)
    added = last_change(database)
    await inventory.put(pool, apples, 5, ANNA)
    put = last_change(database)
    await inventory.take(pool, apples, 12, ANNA)
    await inventory.edit_item(pool, apples, {"name": "Apples"}, ANNA)
    renamed = last_change(database)
    await inventory.edit_item(pool, apples, {"name": "APPLES"}, ANNA)
    for change, why in ((added, "changed since"), (put, "below zero"), (renamed, "changed again"), (99, "no such")):
        with pytest.raises(CannotUndo, match=why):
            await undo_change(pool, change, ANNA)
    await inventory.delete_item(pool, apples, ANNA)
    deleted = last_change(database)
    with pytest.raises(CannotUndo, match="deleted since"):
        await undo_change(pool, put, ANNA)
    make_item(database, name="apples")
    with pytest.raises(CannotUndo, match="in use again"):
        await undo_change(pool, deleted, ANNA)
    pears = make_item(database, name="pears")
    await inventory.edit_item(pool, pears, {"name": "plums"}, ANNA)
    renamed = last_change(database)
    make_item(database, name="PEARS")
    with pytest.raises(CannotUndo, match="in use again"):
        await undo_change(pool, renamed, ANNA)
    database.execute("TRUNCATE inventory")
    with pytest.raises(CannotUndo, match="all at once"):
        await undo_change(pool, last_change(database), ANNA)


async def test_undo_never_passes_what_a_quantity_can_hold(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=2**63 - 1)
    await inventory.take(pool, apples, 2**63 - 1, ANNA)
    taken = last_change(database)
    await inventory.put(pool, apples, 5, ANNA)
    with pytest.raises(CannotUndo, match="cannot hold more"):
        await undo_change(pool, taken, ANNA)


async def test_undo_leaves_an_item_alone_that_only_has_the_number_of_another(
    pool: Pool, database: psycopg.Connection
) -> None:
    make_item(database, name="apples")
    added = last_change(database)
    database.execute("TRUNCATE inventory RESTART IDENTITY")
    grapes = make_item(database, name="grapes")
    with pytest.raises(CannotUndo, match="removed since"):
        await undo_change(pool, added, ANNA)
    assert quantity(database, grapes) == 10


async def test_an_undo_takes_no_number_that_is_still_to_be_given(pool: Pool, database: psycopg.Connection) -> None:
    make_item(database, name="apples")
    await inventory.delete_item(pool, make_item(database, name="pears"), ANNA)
    deleted = last_change(database)
    database.execute("TRUNCATE inventory RESTART IDENTITY")
    with pytest.raises(CannotUndo, match="removed since"):
        await undo_change(pool, deleted, ANNA)
    assert [make_item(database) for _ in range(2)] == [1, 2]


async def test_what_is_old_stays(pool: Pool, database: psycopg.Connection) -> None:
    make_item(database)
    database.execute("UPDATE inventory_changes SET changed_at = now() - interval '25 hours'")
    with pytest.raises(CannotUndo, match="last 24 hours"):
        await undo_change(pool, last_change(database), ANNA)


async def test_of_many_who_undo_the_same_change_one_succeeds(pool: Pool, database: psycopg.Connection) -> None:
    apples = make_item(database, quantity=10)
    await inventory.take(pool, apples, 4, ANNA)
    taken = last_change(database)
    results = await asyncio.gather(*(undo_change(pool, taken, ANNA) for _ in range(10)), return_exceptions=True)
    assert [result for result in results if result is None] == [None]
    assert all(isinstance(result, CannotUndo) for result in results if result is not None)
    assert quantity(database, apples) == 10
