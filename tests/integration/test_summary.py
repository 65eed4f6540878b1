"""What stands beside the items: the latest changes, and what is low."""

import re
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.integration.stories import entries, take, text
from tests.server import LiveServer


@pytest.fixture
def visitor(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, verify=False, timeout=20) as client:
        yield client


def test_the_feed_tells_a_transaction_as_one(visitor: httpx.Client, database: psycopg.Connection) -> None:
    database.execute("SET application_name = 'nightly-import'")
    database.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || n, 5 FROM generate_series(1, 412) AS n")
    database.execute("UPDATE inventory SET quantity = 6")
    with database.transaction():
        database.execute("UPDATE inventory SET quantity = 7 WHERE name = 'item 1'")
        database.execute("UPDATE inventory SET quantity = 8 WHERE name = 'item 1'")
    twice, changed, added = entries(visitor.get("/").text, "activity")
    assert twice.startswith("×2 item 1 2 changes at once")
    assert changed.startswith("×412 nightly-import changed 412 items")
    assert added.startswith("×412 nightly-import added 412 items")
    assert "/undo" not in visitor.get("/").text.partition('id="activity"')[2].partition("</ol>")[0]


def test_the_feed_shows_a_long_transaction_that_others_overtook(
    visitor: httpx.Client, database: psycopg.Connection, database_url: str
) -> None:
    item = make_item(database, quantity=1000)
    with psycopg.connect(database_url) as slow:
        slow.execute("INSERT INTO inventory (name, quantity) VALUES ('slow 1', 1)")
        for _ in range(30):
            take(database, item, 1)
        slow.execute("INSERT INTO inventory (name, quantity) VALUES ('slow 2', 1)")
        slow.commit()
    told = entries(visitor.get("/").text, "activity")
    assert len(told) == 20
    assert "2 items" in told[0]


def test_rows_of_a_restored_dump_stand_alone_in_the_feed(visitor: httpx.Client, database: psycopg.Connection) -> None:
    for _ in range(3):
        make_item(database)
    database.execute("UPDATE inventory_changes SET xid = '0'")
    assert [entry.split()[0] for entry in entries(visitor.get("/").text, "activity")] == ["new", "new", "new"]


def test_the_title_counts_what_is_low(visitor: httpx.Client, database: psycopg.Connection) -> None:
    make_item(database, quantity=1, reorder_level=None)
    assert "<title>Inventory</title>" in visitor.get("/").text
    make_item(database, quantity=1, reorder_level=5)
    assert "<title>(1 low) Inventory</title>" in visitor.get("/").text


def test_the_order_list_has_what_is_low_and_how_much_is_missing(
    visitor: httpx.Client, database: psycopg.Connection
) -> None:
    make_item(database, name="enough", quantity=6, reorder_level=5)
    make_item(database, name="pears", quantity=2, reorder_level=5, unit="kg", code="P-1", location="Cellar")
    make_item(database, name="Apples", quantity=0, reorder_level=0)
    page = visitor.get("/low").text
    rows = [text(row) for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL)]
    assert rows[1:] == ["Apples 0 0 0 —", "pears P-1 Cellar 2 5 3 kg —"]
    database.execute("DELETE FROM inventory")
    assert "Nothing to order" in visitor.get("/low").text
