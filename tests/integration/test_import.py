"""Files that are imported through the page: previewed, and applied as they were shown."""

import re

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.integration.imports import apply, columns_of, counts, preview

pytestmark = pytest.mark.usefixtures("no_items")


def test_a_file_is_previewed_applied_once_and_told_in_the_history(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    pencils = make_item(shared, name="Pencils", quantity=100, unit="boxes", code="P-1")
    make_item(shared, name="Sugar", quantity=15)
    shown = preview(visitor, "name;qty;supplier\nPENCILS;120;x\nSugar;15;y\n<b>Flour;3;z\n", "monday.csv")
    assert counts(shown) == (1, 1, 1)
    assert re.search(r"quantity <del>100</del> → <ins>120</ins>", shown.text)
    assert "&lt;b&gt;Flour" in shown.text
    assert "Not used: supplier." in shown.text
    assert columns_of(shared, pencils) == ("Pencils", 100, "boxes", None, None, "P-1")

    answer = apply(visitor, shown)
    assert (answer.status_code, answer.headers["location"]) == (303, "/import?added=1&changed=1")
    assert "<b>1</b> item added, <b>1</b> changed" in visitor.get(answer.headers["location"]).text
    assert columns_of(shared, pencils) == ("Pencils", 120, "boxes", None, None, "P-1")
    logged = shared.execute(
        "SELECT coalesce(after_name, ''), source, reason FROM inventory_changes WHERE source = 'import' ORDER BY id"
    ).fetchall()
    assert logged == [("Pencils", "import", "monday.csv"), ("<b>Flour", "import", "monday.csv")]
    again = apply(visitor, shown)
    assert again.status_code == 404
    assert "no longer there" in again.text


def test_missing_columns_leave_fields_alone_and_empty_cells_clear_them(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    item = make_item(shared, name="Rice", quantity=4, unit="kg", location="Pantry", reorder_level=5, code="R")
    apply(visitor, preview(visitor, "name,unit,min\nrice,,\n"))
    assert columns_of(shared, item) == ("Rice", 4, None, "Pantry", None, "R")


def test_items_are_found_by_code_first_then_by_name(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    by_code = make_item(shared, name="old name", code="abc", quantity=1)
    by_name = make_item(shared, name="Ärmel", quantity=1)
    apply(visitor, preview(visitor, "code,name,qty\nABC,new name,2\nxyz,äRMEL,3\n,third,4\n"))
    assert columns_of(shared, by_code) == ("new name", 2, None, None, None, "abc")
    assert columns_of(shared, by_name) == ("Ärmel", 3, None, None, None, "xyz")
    assert shared.execute("SELECT quantity, code FROM inventory WHERE name = 'third'").fetchone() == (4, None)


def test_deltas_are_added_to_what_is_there_when_they_are_applied(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    item = make_item(shared, name="Rice", quantity=10)
    shown = preview(visitor, "name,change\nRice,-4\nFlour,+5\n")
    shared.execute("UPDATE inventory SET quantity = quantity - 3")
    assert apply(visitor, shown).status_code == 303
    assert columns_of(shared, item) == ("Rice", 3, None, None, None, None)
    assert shared.execute("SELECT quantity FROM inventory WHERE name = 'Flour'").fetchone() == (5,)


def test_a_constraint_of_the_shops_own_undoes_the_whole_import(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    shared.execute("ALTER TABLE inventory ADD CONSTRAINT house_rule CHECK (name <> 'forbidden')")
    try:
        answer = apply(visitor, preview(visitor, "name,qty\nallowed,1\nforbidden,1\n"))
        assert answer.status_code == 422
        assert "house_rule" in answer.text
        assert shared.execute("SELECT count(*) FROM inventory").fetchone() == (0,)
    finally:
        shared.execute("ALTER TABLE inventory DROP CONSTRAINT house_rule")


def test_thousands_of_rows_are_one_statement_each_way_and_one_announcement(
    visitor: httpx.Client, shared: psycopg.Connection, shared_url: str
) -> None:
    shared.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || i, 0 FROM generate_series(1, 3000) AS i")
    text = "name,qty\n" + "".join(f"item {i},{i}\n" for i in range(1, 6001))
    shown = preview(visitor, text)
    assert counts(shown) == (3000, 3000, 0)
    assert "the first 50 of 3000" in shown.text
    with psycopg.connect(shared_url, autocommit=True) as listener:
        listener.execute("LISTEN messages_channel")
        assert apply(visitor, shown).status_code == 303
        payloads = [notify.payload for notify in listener.notifies(timeout=5, stop_after=2)]
    assert [re.findall('"(?:op|operation)": "([a-z]*)"', payload) for payload in payloads] == [
        ["bulk", "update"],
        ["bulk", "insert"],
    ]
    wrong = "SELECT count(*) FROM inventory WHERE quantity <> split_part(name, ' ', 2)::bigint"
    assert shared.execute(wrong).fetchone() == (0,)


def test_columns_without_a_meaning_may_be_called_anything(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    shown = preview(
        visitor, "name,qty,<i>\0{x},%s,,%(y)s" + ",more" * 2_000 + "\nRice,1,a,b,c,d" + ",e" * 2_000, "{0}%s<b>\0.csv"
    )
    assert "Not used: &lt;i&gt;{x}, %s, %(y)s, more, more" in shown.text
    assert "<h1>{0}%s&lt;b&gt;" in shown.text
    assert apply(visitor, shown).status_code == 303
    reason = shared.execute("SELECT reason FROM inventory_changes ORDER BY id DESC LIMIT 1").fetchone()
    assert reason
    assert reason[0].startswith("{0}%s<b>")
