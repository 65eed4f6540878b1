"""The table's promises, met by any SQL client: what the inventory refuses, and how version and updated_at move."""

import random
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.factories import make_item
from webapp.text import WHITE_SPACE

LARGEST = 2**63 - 1
errors = psycopg.errors


def item(database: psycopg.Connection, item_id: int) -> Mapping[str, Any]:
    with database.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM inventory WHERE id = %s", [item_id]).fetchone()
    assert row is not None
    return row


def count(database: psycopg.Connection, table: str) -> int:
    row = database.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("name", ["", " ", "\t\n\v\f\r", "\u00a0\u2003\u3000", "\u200b\ufeff\u2060"])
def test_a_name_of_nothing_but_white_space_is_refused(database: psycopg.Connection, name: str) -> None:
    with pytest.raises(errors.CheckViolation, match="inventory_name_not_empty"):
        make_item(database, name=name)


def test_the_database_trims_the_characters_that_the_form_trims(database: psycopg.Connection) -> None:
    characters = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    trimmed = database.execute(
        "SELECT character FROM unnest(%s::text[]) AS character WHERE inventory_trim(character) = ''", [characters]
    ).fetchall()
    assert {row[0] for row in trimmed} == set(WHITE_SPACE)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"name": "x" * 201}, "inventory_name_length"),
        ({"unit": "x" * 41}, "inventory_unit_length"),
        ({"location": "x" * 201}, "inventory_location_length"),
        ({"quantity": -1}, "inventory_quantity_not_negative"),
        ({"reorder_level": -1}, "inventory_reorder_level_not_negative"),
    ],
)
def test_a_bad_value_is_refused_by_its_promise(
    database: psycopg.Connection, columns: dict[str, object], constraint: str
) -> None:
    with pytest.raises(errors.CheckViolation) as refusal:
        make_item(database, **columns)
    assert refusal.value.diag.constraint_name == constraint
    item_id = make_item(database)
    [(column, value)] = columns.items()
    statement = psycopg.sql.SQL("UPDATE inventory SET {} = %s WHERE id = %s").format(psycopg.sql.Identifier(column))
    with pytest.raises(errors.CheckViolation, match=constraint):
        database.execute(statement, [value, item_id])


@pytest.mark.parametrize("missing", ["name", "quantity"])
def test_name_and_quantity_are_needed(database: psycopg.Connection, missing: str) -> None:
    with pytest.raises(errors.NotNullViolation):
        make_item(database, **{missing: None})


def test_the_longest_texts_and_the_largest_numbers_are_kept(database: psycopg.Connection) -> None:
    longest = {"name": "😀" * 200, "unit": "😀" * 40, "location": "😀" * 200}
    item_id = make_item(database, **longest, quantity=LARGEST, reorder_level=LARGEST)
    assert item(database, item_id).items() >= (longest | {"quantity": LARGEST, "reorder_level": LARGEST}).items()


def test_a_name_that_grows_threefold_when_normalised_still_fits_its_index(database: psycopg.Connection) -> None:
    name = "".join(chr(0x1D15E + i % 7) for i in range(200))
    item_id = make_item(database, name=name)
    assert item(database, item_id)["name"] == name


@pytest.mark.parametrize("letters", [range(0x20000, 0x2A000), range(0x958, 0x960)])  # the latter grow twofold
def test_the_longest_texts_that_can_hardly_be_compressed_fit_all_indexes(
    database: psycopg.Connection, letters: range
) -> None:
    name, location, code = ("".join(map(chr, random.Random(1).choices(letters, k=k))) for k in (200, 200, 64))
    assert make_item(database, name=name, location=location, code=code)


def test_a_quantity_never_passes_the_largest_number(database: psycopg.Connection) -> None:
    make_item(database, quantity=LARGEST)
    with pytest.raises(errors.NumericValueOutOfRange):
        database.execute("UPDATE inventory SET quantity = quantity + 1")


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("apples", "Apples"),
        ("apples", "  apples\t"),
        ("äpfel", "ÄPFEL"),
        ("ёлка", "ЁЛКА"),
        ("οδος", "ΟΔΟΣ"),
        ("caf\u00e9", "Cafe\u0301"),
        ("vanilla", "\vVANILLA\u00a0"),
    ],
)
def test_names_are_unique_regardless_of_case_and_surrounding_space(
    database: psycopg.Connection, name: str, same: str
) -> None:
    make_item(database, name=name)
    with pytest.raises(errors.UniqueViolation) as refusal:
        make_item(database, name=same)
    assert refusal.value.diag.constraint_name == "inventory_name_unique"


@pytest.mark.parametrize(("name", "other"), [("vase", "ase"), ("apple", "apples"), ("a b", "ab"), ("e", "é")])
def test_names_that_merely_resemble_each_other_are_two_items(
    database: psycopg.Connection, name: str, other: str
) -> None:
    make_item(database, name=name)
    assert make_item(database, name=other)


def test_a_search_looks_through_name_and_code_as_they_are_compared(database: psycopg.Connection) -> None:
    letters = [*"aA \t%_\\0äÄßςσİ🍏", "e\u0301", "\u00a0"]
    texts = ["".join(random.Random(seed).choices(letters, k=seed % 5)) for seed in range(60)]
    rows = database.execute(
        "SELECT is_found, bool_and(is_found = (strpos(inventory_fold(name), needle) > 0"
        "                                      OR strpos(coalesce(inventory_fold(code), ''), needle) > 0))"
        "  FROM unnest(%(texts)s::text[]) AS name, unnest(%(texts)s::text[] || NULL::text) AS code,"
        "       (SELECT DISTINCT inventory_fold(text) FROM unnest(%(texts)s::text[]) AS text) AS folded (needle),"
        "       LATERAL (SELECT strpos(inventory_searchable(name, code), needle) > 0) AS looked (is_found)"
        " WHERE needle <> ''"
        " GROUP BY is_found ORDER BY is_found",
        {"texts": texts},
    ).fetchall()
    assert rows == [(False, True), (True, True)]


def test_a_name_may_change_its_case(database: psycopg.Connection) -> None:
    item_id = make_item(database, name="apples")
    database.execute("UPDATE inventory SET name = 'APPLES'")
    assert item(database, item_id)["name"] == "APPLES"


def test_an_item_starts_at_version_1_whatever_the_statement_says(database: psycopg.Connection) -> None:
    plain = item(database, make_item(database))
    forced = item(database, make_item(database, version=77, updated_at="2031-01-01Z"))
    assert plain["version"] == forced["version"] == 1
    assert timedelta(0) < forced["updated_at"] - plain["updated_at"] < timedelta(minutes=1)


@pytest.mark.parametrize(
    "change", ["name = 'new'", "quantity = 11", "unit = 'kg'", "location = 'A'", "reorder_level = 1"]
)
def test_every_user_column_moves_version_and_time(database: psycopg.Connection, change: str) -> None:
    before = item(database, make_item(database, quantity=10))
    database.execute(f"UPDATE inventory SET {change}, version = 50, updated_at = '2000-01-01Z'".encode())
    after = item(database, before["id"])
    assert after["version"] == 2
    assert after["updated_at"] > before["updated_at"]


@pytest.mark.parametrize(
    "change", ["quantity = quantity", "version = 9", "updated_at = 'epoch'", "unit = NULL, updated_at = now()"]
)
def test_an_update_that_changes_no_user_column_leaves_no_trace(database: psycopg.Connection, change: str) -> None:
    before = item(database, make_item(database))
    logged = count(database, "inventory_changes")
    database.execute("LISTEN messages_channel")
    returned = database.execute(f"UPDATE inventory SET {change} RETURNING version, updated_at".encode())
    assert returned.rowcount == 1
    assert returned.fetchall() == [(1, before["updated_at"])]
    assert item(database, before["id"]) == before
    assert count(database, "inventory_changes") == logged
    assert list(database.notifies(timeout=0)) == []


def test_row_counts_and_returning_are_those_of_a_plain_table(database: psycopg.Connection) -> None:
    inserted = database.execute(
        "INSERT INTO inventory (name, quantity) VALUES ('a', 1), ('b', 2) RETURNING id, version"
    )
    assert [version for _, version in inserted.fetchall()] == [1, 1]
    updated = database.execute("UPDATE inventory SET quantity = 2 RETURNING name, quantity, version")
    assert updated.statusmessage == "UPDATE 2"
    assert set(updated.fetchall()) == {("a", 2, 2), ("b", 2, 1)}
    deleted = database.execute("DELETE FROM inventory WHERE name = 'a' RETURNING version")
    assert deleted.fetchall() == [(2,)]
    assert database.execute("UPDATE inventory SET quantity = 9 WHERE name = 'no such'").rowcount == 0


def test_the_id_of_an_item_never_changes(database: psycopg.Connection) -> None:
    make_item(database)
    with pytest.raises(errors.CheckViolation) as refusal:
        database.execute("UPDATE inventory SET id = DEFAULT")
    assert refusal.value.diag.constraint_name == "inventory_id_fixed"
