"""The hot queries find what they need by an index: no plan of theirs reads the whole inventory, or the whole log."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from webapp.live.matching import Matcher
from webapp.postgres.queries import QUERIES, filled, ordered
from webapp.stock.views import Filter

ITEMS = 8_000
BY_NAME, BY_PLACE, BY_TRIGRAMS = "inventory_name_unique", "inventory_location", "inventory_searchable_trigrams"
OF_ROWS = {
    "inventory_pkey",
    "inventory_code_unique",
}  # what is shown, and whose code is the text


@pytest.fixture(scope="module")
def stocked(shared_url: str) -> Iterator[psycopg.Connection]:
    """A database with so many items that reading them all is no plan."""
    with psycopg.connect(shared_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(
            "INSERT INTO inventory (name, quantity, location, reorder_level, code)"
            " SELECT md5(n::text), n %% 1000, 'Shelf ' || n %% 100, 10, 'C-' || n FROM generate_series(1, %s) AS n",
            [ITEMS],
        )
        connection.execute("VACUUM ANALYZE inventory, inventory_changes")
        yield connection


def plan(database: psycopg.Connection, query: sql.Composed | bytes, **parameters: object) -> list[dict[str, Any]]:
    """Return the nodes of the plan that a query is run by."""
    text = query.as_bytes(database) if isinstance(query, sql.Composed) else query
    row = database.execute(b"EXPLAIN (FORMAT JSON) " + text, parameters).fetchone()
    assert row
    return list(nodes(row[0][0]["Plan"]))


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from nodes(below)


def indexes(found: list[dict[str, Any]]) -> set[str]:
    """Return the indexes of a plan, which must not read a whole table."""
    assert not [node for node in found if node["Node Type"] == "Seq Scan"], json.dumps(found, indent=1)
    return {node["Index Name"] for node in found if "Index Name" in node}


@pytest.mark.parametrize(
    ("wanted", "column", "descending", "found", "index"),
    [
        (Filter(), "name", False, "in_order", BY_NAME),
        (Filter(), "name", True, "in_order", BY_NAME),
        (Filter(), "id", True, "in_order", "inventory_pkey"),
        (Filter(location="Shelf 7"), "name", False, "in_order", BY_PLACE),
        (Filter(location="Shelf 7"), "quantity", True, "in_order", BY_PLACE),
        (Filter(location="Shelf 7", low=True), "name", False, "all_first", BY_PLACE),
        (Filter(q="abc"), "name", False, "in_order", BY_TRIGRAMS),
        (Filter(q="abc"), "updated_at", True, "in_order", BY_TRIGRAMS),
    ],
)
def test_a_page_of_a_view_is_found_by_an_index(
    stocked: psycopg.Connection, wanted: Filter, column: str, *, descending: bool, found: str, index: str
) -> None:
    query = ordered("view_items", column, descending=descending, found=found)
    nodes_found = plan(stocked, query, **Matcher(wanted, wanted.q).parameters, page_rows=50, offset=0)
    assert indexes(nodes_found) - OF_ROWS == {index} - OF_ROWS


@pytest.mark.parametrize(
    ("wanted", "column", "index"),
    [
        (Filter(), "name", BY_NAME),
        (Filter(), "location", BY_PLACE),
        (Filter(location="Shelf 7"), "name", BY_PLACE),
    ],
)
@pytest.mark.parametrize("from_end", [False, True])
def test_a_deep_page_is_counted_off_in_an_index_alone(
    stocked: psycopg.Connection, wanted: Filter, column: str, index: str, *, from_end: bool
) -> None:
    query = ordered("view_items", column, descending=False, from_end=from_end, found="in_order")
    found = plan(stocked, query, **Matcher(wanted, "").parameters, page_rows=50, offset=ITEMS // 2)
    assert [node["Index Name"] for node in found if node["Node Type"] == "Index Only Scan"] == [index]


@pytest.mark.parametrize(
    ("column", "first", "last", "index"),
    [("name", "7f", "81", BY_NAME), ("location", "shelf 50", "shelf 51", BY_PLACE)],
)
@pytest.mark.parametrize("descending", [False, True])
def test_a_deep_page_is_looked_for_between_two_values_by_an_index_in_both_directions(
    stocked: psycopg.Connection, column: str, first: str, last: str, index: str, *, descending: bool
) -> None:
    bounds: dict[str, object] = {"first": last, "last": first} if descending else {"first": first, "last": last}
    bounds["from_start"] = False
    query = ordered("view_items_between", column, descending=descending)
    found = plan(stocked, query, **Matcher(Filter(), "").parameters, **bounds, page_rows=50, offset=ITEMS // 2)
    assert indexes(found) == {index, "inventory_pkey"}
    assert all(node["Plan Rows"] < ITEMS // 10 for node in found if node["Node Type"] == "Sort")


@pytest.mark.parametrize("wanted", [Filter(q="1"), Filter(q="a", low=True), Filter(low=True)])
@pytest.mark.parametrize("column", ["name", "quantity"])
def test_where_it_is_known_which_few_match_no_others_are_looked_at(
    stocked: psycopg.Connection, wanted: Filter, column: str
) -> None:
    query = ordered("view_items", column, descending=False, found="all_first" if wanted.low else "in_order")
    parameters = {**Matcher(wanted, wanted.q).parameters, "ids": list(range(1, 101)), "page_rows": 50, "offset": 0}
    assert indexes(plan(stocked, query, **parameters)) <= OF_ROWS


def test_a_page_in_the_order_of_an_index_is_not_sorted_whole(stocked: psycopg.Connection) -> None:
    query = ordered("view_items", "name", descending=True, found="in_order")
    found = plan(stocked, query, **Matcher(Filter(), "").parameters, page_rows=50, offset=0)
    assert all(node["Plan Rows"] <= 50 for node in found if node["Node Type"] == "Sort")


@pytest.mark.parametrize("from_end", [False, True])
@pytest.mark.parametrize("wanted", [Filter(q="1"), Filter(low=True)])
def test_a_search_that_many_match_follows_the_order_and_not_for_ever(
    stocked: psycopg.Connection, wanted: Filter, *, from_end: bool
) -> None:
    query = ordered("view_items_near", "name", descending=False, from_end=from_end)
    found = plan(stocked, query, **Matcher(wanted, wanted.q).parameters, page_rows=50, offset=0, near=1000)
    assert indexes(found) - OF_ROWS == {BY_NAME}
    assert [node["Plan Rows"] for node in found if node["Node Type"] == "Limit"] == [50, 1000]
    assert all(node["Plan Rows"] <= 50 for node in found if node["Node Type"] == "Sort")


def test_the_places_are_found_without_a_look_at_all_items(stocked: psycopg.Connection) -> None:
    assert indexes(plan(stocked, QUERIES["locations"])) == {BY_PLACE}
    rows = stocked.execute(QUERIES["locations"]).fetchall()
    assert len(rows) == 100
    assert rows[:3] == [("Shelf 0",), ("Shelf 1",), ("Shelf 10",)]


def test_the_feed_reads_what_is_new_and_not_the_log(stocked: psycopg.Connection) -> None:
    with stocked.transaction(force_rollback=True):
        stocked.execute(QUERIES["tune"], {"limit_ms": 1000})
        row = stocked.execute("SELECT pg_current_snapshot()::text").fetchone()
        found = plan(stocked, QUERIES["changes_since"], cursor=row[0] if row else None, limit=5001)
    used = [node for node in found if node.get("Relation Name") == "inventory_changes"]
    assert indexes(used) == {"inventory_changes_xid"}


def test_the_feed_plans_its_look_once_for_all(shared_url: str) -> None:
    with psycopg.connect(shared_url, autocommit=True, prepare_threshold=0) as reader:
        reader.execute(QUERIES["tune"], {"limit_ms": 1000})
        row = reader.execute("SELECT pg_current_snapshot()::text").fetchone()
        for _ in range(3):
            reader.execute(QUERIES["changes_since"], {"cursor": row[0] if row else None, "limit": 10})
        plans = reader.execute(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%keeps_texts%'",
            prepare=False,
        ).fetchall()
    assert plans == [(3, 0)]


def test_the_latest_changes_are_found_by_index_after_one_transaction_that_wrote_the_whole_log(
    stocked: psycopg.Connection,
) -> None:
    found = plan(stocked, filled("latest_changes", columns="change_columns"), limit=20, undo_hours=24)
    assert indexes(found) == {"inventory_changes_xid", "inventory_changes_pkey", "inventory_changes_undoes"}
    transactions = plan(stocked, QUERIES["transactions"], xids=["1000"], most=1000)
    assert indexes(transactions) == {"inventory_changes_xid"}
    by_number = [node for node in found if node.get("Index Name") == "inventory_changes_pkey" and "Filter" in node]
    assert not by_number, "a transaction's last change is not looked for among those of others"


def test_a_change_of_a_quantity_touches_no_index(stocked: psycopg.Connection) -> None:
    indexed = stocked.execute(
        "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'inventory'::regclass"
    ).fetchall()
    assert indexed
    assert not [text for (text,) in indexed if "quantity" in text or "version" in text or "updated_at" in text]
