"""The change log: one row per changed item, whatever statement changed it, and who it was."""

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.factories import make_item

COLUMNS = ("name", "quantity", "unit", "location", "reorder_level")


def logged(database: psycopg.Connection) -> list[dict[str, Any]]:
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("SELECT * FROM inventory_changes ORDER BY id").fetchall()


def told(database: psycopg.Connection) -> list[tuple[str, str | None, int | None, int | None]]:
    """Return operation, name, and the quantity before and after, of each logged change."""
    return [
        (row["operation"], row["after_name"] or row["before_name"], row["before_quantity"], row["after_quantity"])
        for row in logged(database)
    ]


def side(row: dict[str, Any], which: str) -> tuple[Any, ...]:
    return tuple(row[f"{which}_{column}"] for column in COLUMNS)


def test_every_column_is_logged_before_and_after(database: psycopg.Connection) -> None:
    old = ("apples", 10, "kg", "shelf 1", 3)
    new = ("pears", 11, None, "shelf 2", 4)
    item_id = make_item(database, **dict(zip(COLUMNS, old, strict=True)))
    database.execute("UPDATE inventory SET (name, quantity, unit, location, reorder_level) = (%s, %s, %s, %s, %s)", new)
    database.execute("DELETE FROM inventory")
    nothing = (None,) * len(COLUMNS)
    assert [(row["operation"], row["item_id"], row["version"]) for row in logged(database)] == [
        ("insert", item_id, 1),
        ("update", item_id, 2),
        ("delete", item_id, 2),
    ]
    assert [side(row, "before") for row in logged(database)] == [nothing, old, new]
    assert [side(row, "after") for row in logged(database)] == [old, new, nothing]


def test_only_the_rows_that_changed_are_logged(database: psycopg.Connection) -> None:
    make_item(database, name="a", quantity=1)
    make_item(database, name="b", quantity=2)
    assert database.execute("UPDATE inventory SET quantity = 2").rowcount == 2
    assert told(database)[2:] == [("update", "a", 1, 2)]


def test_what_another_trigger_changes_after_ours_is_logged(database: psycopg.Connection) -> None:
    make_item(database, name="a", quantity=1)
    database.execute(
        "CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.location := 'yard'; RETURN NEW; END $$"
    )
    database.execute("CREATE TRIGGER z BEFORE UPDATE ON inventory FOR EACH ROW EXECUTE FUNCTION move()")
    database.execute("UPDATE inventory SET quantity = 1")
    assert [(row["before_location"], row["after_location"]) for row in logged(database)[1:]] == [(None, "yard")]


def test_copy_is_logged(database: psycopg.Connection) -> None:
    with database.cursor() as cursor, cursor.copy("COPY inventory (name, quantity) FROM STDIN") as copy:
        copy.write("a\t1\nb\t2\n")
    assert told(database) == [("insert", "a", None, 1), ("insert", "b", None, 2)]


def test_insert_on_conflict_is_logged_as_what_it_did(database: psycopg.Connection) -> None:
    make_item(database, name="a", quantity=1)
    database.execute(
        "INSERT INTO inventory AS old (name, quantity) VALUES ('A', 5), ('b', 2)"
        ' ON CONFLICT ((inventory_fold(name)) COLLATE "C") DO UPDATE SET quantity = old.quantity + excluded.quantity'
    )
    assert sorted(told(database)[1:]) == [("insert", "b", None, 2), ("update", "a", 1, 6)]


def test_merge_is_logged_as_what_it_did(database: psycopg.Connection) -> None:
    for name in "abc":
        make_item(database, name=name, quantity=1)
    database.execute("""
        MERGE INTO inventory USING (VALUES ('a', 5), ('b', 0), ('d', 7)) AS wanted (name, quantity)
                ON inventory.name = wanted.name
        WHEN MATCHED AND wanted.quantity = 0 THEN DELETE
        WHEN MATCHED THEN UPDATE SET quantity = wanted.quantity
        WHEN NOT MATCHED THEN INSERT (name, quantity) VALUES (wanted.name, wanted.quantity)""")
    assert sorted(told(database)[3:], key=lambda row: row[0]) == [
        ("delete", "b", 1, None),
        ("insert", "d", None, 7),
        ("update", "a", 1, 5),
    ]


def test_two_updates_in_one_statement_are_both_logged(database: psycopg.Connection) -> None:
    for name in "ab":
        make_item(database, name=name, quantity=1)
    database.execute(
        "WITH first AS (UPDATE inventory SET quantity = 2 WHERE name = 'a')"
        " UPDATE inventory SET quantity = 3 WHERE name = 'b'"
    )
    assert sorted(told(database)[2:]) == [("update", "a", 1, 2), ("update", "b", 1, 3)]


def test_what_was_rolled_back_to_a_savepoint_was_never_logged(database: psycopg.Connection) -> None:
    make_item(database, name="a", quantity=1)
    with database.transaction():
        database.execute("UPDATE inventory SET quantity = 2")
        with database.transaction(force_rollback=True):
            database.execute("UPDATE inventory SET quantity = 3")
            database.execute("DELETE FROM inventory")
        database.execute("UPDATE inventory SET quantity = 4")
    assert told(database)[1:] == [("update", "a", 1, 2), ("update", "a", 2, 4)]


def test_truncate_is_one_mark_and_may_give_ids_a_second_time(database: psycopg.Connection) -> None:
    first = make_item(database)
    make_item(database)
    database.execute("TRUNCATE inventory RESTART IDENTITY")
    assert make_item(database) == first
    assert [(row["operation"], row["item_id"]) for row in logged(database)[2:]] == [
        ("truncate", None),
        ("insert", first),
    ]


def test_changes_of_one_transaction_share_its_id(database: psycopg.Connection) -> None:
    with database.transaction():
        make_item(database)
        with database.transaction():
            make_item(database)
        row = database.execute("SELECT pg_current_xact_id()").fetchone()
    make_item(database)
    assert row is not None
    assert [change["xid"] == row[0] for change in logged(database)] == [True, True, False]


def test_the_client_is_always_named_and_the_actor_where_one_is_claimed(database: psycopg.Connection) -> None:
    database.execute("SET application_name = 'nightly import'")
    with database.transaction():
        for name in ("actor", "source", "reason"):
            database.execute("SELECT set_config(%s, %s, TRUE)", [f"inventory.{name}", f"some {name}"])
        make_item(database)
    make_item(database)
    who = ("session_role", "application", "actor", "source", "reason")
    assert [tuple(row[column] for column in who) for row in logged(database)] == [
        (database.info.user, "nightly import", "some actor", "some source", "some reason"),
        (database.info.user, "nightly import", None, None, None),
    ]


def test_whoever_writes_cannot_say_so_much_that_pages_become_large(database: psycopg.Connection) -> None:
    for name in ("actor", "source", "reason"):
        database.execute("SELECT set_config(%s, repeat('ä', 1000000), FALSE)", [f"inventory.{name}"])
    make_item(database)
    (change,) = logged(database)
    assert [len(change[name]) for name in ("actor", "source", "reason")] == [200, 200, 500]


@pytest.mark.parametrize("first", [1, 600])
def test_a_plan_kept_for_the_session_does_for_any_number_of_rows(database: psycopg.Connection, first: int) -> None:
    database.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || i, 0 FROM generate_series(1, 3000) AS i")
    for _ in range(7):
        database.execute("UPDATE inventory SET quantity = quantity + 1 WHERE id <= %s", [first])
    database.execute("SET statement_timeout = '5s'")
    database.execute("UPDATE inventory SET quantity = quantity + 1")
    assert len(logged(database)) == 3000 + 7 * first + 3000
