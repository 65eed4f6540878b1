"""What arrives on messages_channel, and that no name, number or load ever makes the writer fail for it."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from tests.factories import make_item


@pytest.fixture
def writer(database_url: str, database: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A connection that writes, while `database` listens."""
    database.execute("LISTEN messages_channel")
    with closing(psycopg.connect(database_url, autocommit=True)) as connection:
        yield connection


def payloads(database: psycopg.Connection) -> list[str]:
    """Return what was announced by transactions that have committed: a word sent now arrives behind it."""
    database.execute("NOTIFY messages_channel, 'the end'")
    heard: list[str] = []
    for notification in database.notifies(timeout=10):
        if notification.payload == "the end":
            return heard
        heard.append(notification.payload)
    raise AssertionError("the end never came")


def messages(database: psycopg.Connection) -> list[dict[str, Any]]:
    return [json.loads(payload) for payload in payloads(database)]


def insert_many(writer: psycopg.Connection, count: int) -> None:
    writer.execute(
        "INSERT INTO inventory (name, quantity) SELECT 'item ' || i, i FROM generate_series(1, %s) i", [count]
    )


def test_a_single_change_is_told_with_the_items_values(
    database: psycopg.Connection, writer: psycopg.Connection
) -> None:
    item_id = make_item(writer, name="apples", quantity=10, unit="kg", location="A", reorder_level=3)
    writer.execute("UPDATE inventory SET quantity = 9, unit = NULL, location = 'B'")
    writer.execute("DELETE FROM inventory")
    heard = payloads(database)
    assert all(text.startswith('{"name": "apples", "quantity": ') for text in heard)
    inserted = {"name": "apples", "quantity": 10, "id": item_id, "unit": "kg", "location": "A"}
    inserted |= {"reorder_level": 3, "code": None}
    left = {**inserted, "quantity": 9, "unit": None, "location": "B"}
    assert [json.loads(text) for text in heard] == [
        {**inserted, "op": "insert", "version": 1, "change": 1},
        {**left, "op": "update", "version": 2, "change": 2},
        {**left, "op": "delete", "version": 2, "change": 3},
    ]


def test_up_to_50_rows_are_told_one_by_one_and_more_in_one_word(
    database: psycopg.Connection, writer: psycopg.Connection
) -> None:
    insert_many(writer, 50)
    heard = messages(database)
    assert [message["quantity"] for message in heard] == list(range(1, 51))
    assert [message["change"] for message in heard] == list(range(1, 51))
    insert_many_more = "INSERT INTO inventory (name, quantity) SELECT 'more ' || i, 1 FROM generate_series(1, 51) i"
    writer.execute(insert_many_more)
    assert messages(database) == [{"op": "bulk", "operation": "insert", "count": 51, "change": 101}]


def test_a_statement_over_many_rows_is_one_message(database: psycopg.Connection, writer: psycopg.Connection) -> None:
    insert_many(writer, 2000)
    writer.execute("UPDATE inventory SET quantity = quantity + 1")
    writer.execute("DELETE FROM inventory")
    heard = messages(database)
    assert [(message["op"], message["operation"], message["count"]) for message in heard] == [
        ("bulk", "insert", 2000),
        ("bulk", "update", 2000),
        ("bulk", "delete", 2000),
    ]


def test_truncate_says_so(database: psycopg.Connection, writer: psycopg.Connection) -> None:
    writer.execute("TRUNCATE inventory")
    assert messages(database) == [{"op": "truncate", "operation": "truncate", "count": 1, "change": 1}]


def test_nothing_is_told_of_what_did_not_happen(database: psycopg.Connection, writer: psycopg.Connection) -> None:
    writer.execute("UPDATE inventory SET quantity = 1")
    writer.execute("DELETE FROM inventory")
    with writer.transaction(force_rollback=True):
        make_item(writer)
    with pytest.raises(psycopg.errors.CheckViolation):
        make_item(writer, quantity=-1)
    assert messages(database) == []


def test_equal_values_within_a_transaction_are_told_each_time(
    database: psycopg.Connection, writer: psycopg.Connection
) -> None:
    make_item(writer, quantity=0)
    with writer.transaction():
        for quantity in (10, 11, 10):
            writer.execute("UPDATE inventory SET quantity = %s", [quantity])
    assert [message["quantity"] for message in messages(database)] == [0, 10, 11, 10]


HOSTILE = ["😀", '"', "\\", "\n", "\x01", "'", "</script>", "\u2028", "𝅘𝅥𝅮"]


def test_no_text_ever_makes_a_writer_fail(database: psycopg.Connection, writer: psycopg.Connection) -> None:
    texts = [("a" + text * 200)[:199] + "b" for text in HOSTILE]
    for text in texts:
        make_item(writer, name=text, unit=text[:40], location=text)
    heard = messages(database)
    assert [(message["name"], message["unit"], message["location"]) for message in heard] == [
        (text, text[:40], text) for text in texts
    ]


def test_the_largest_numbers_are_told_in_full(database: psycopg.Connection, writer: psycopg.Connection) -> None:
    make_item(writer, quantity=2**63 - 1, reorder_level=2**63 - 1)
    (message,) = messages(database)
    assert message["quantity"] == message["reorder_level"] == 2**63 - 1


def test_text_that_would_not_fit_is_told_in_a_word(database: psycopg.Connection, writer: psycopg.Connection) -> None:
    writer.execute("ALTER TABLE inventory DISABLE TRIGGER inventory_version_starts")
    make_item(writer, location="x" * 9000)
    assert messages(database) == [{"op": "bulk", "count": 1, "change": 1}]
