"""Items as CSV: what the view shows, all of it, and the same again when it is imported."""

import asyncio
import csv
import io
import os
from collections.abc import AsyncIterator

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.factories import make_item
from tests.server import serve
from webapp.files import exporting
from webapp.files.exporting import BATCH_ROWS, export_csv
from webapp.files.importing import importing, read_file
from webapp.pages import imports as import_pages
from webapp.stock.views import View

HOSTILE = st.text(
    st.one_of(
        st.sampled_from("=+-@'\"\t\r\n ;,\\\u00a0\u2028＝ΣςİÄa"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    ),
    min_size=1,
    max_size=30,
)


def names(answer: httpx.Response) -> list[str]:
    return [row["name"] for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))]


@pytest.fixture(autouse=True)
def _empty(shared: psycopg.Connection) -> None:
    shared.execute("DELETE FROM inventory")


def test_a_view_is_exported_whole_filtered_and_in_its_order(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    for number in range(60):
        make_item(shared, name=f"box {number:02}", quantity=number, location="Shelf 1" if number % 2 else "Shelf 2")
    make_item(shared, name="box low", quantity=1, reorder_level=5)
    make_item(shared, name="crate", quantity=1, reorder_level=5, code="B O X")
    assert len(names(visitor.get("/export.csv"))) == 62
    answer = visitor.get("/export.csv", params={"q": "BOX 0", "location": "Shelf 1", "sort": "-quantity", "page": "9"})
    assert names(answer) == ["box 09", "box 07", "box 05", "box 03", "box 01"]
    assert names(visitor.get("/export.csv?low=1&q=box")) == ["box low"]
    assert names(visitor.get("/export.csv?q=b+o+x")) == ["crate"]
    assert names(visitor.get("/export.csv?q=nothing&sort=colour")) == []


def test_the_file_is_what_spreadsheets_and_rfc_4180_ask_for(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    make_item(shared, name='=HYPERLINK("http://evil.example")', quantity=3, unit="-1+1", location="a, b", code="@A")
    make_item(shared, name="Äpfel", quantity=0, reorder_level=2)
    answer = visitor.get("/export.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="inventory-2')
    assert answer.content.decode() == (
        "\ufeffcode,name,quantity,unit,location,reorder_level\r\n"
        '\'@A,"\'=HYPERLINK(""http://evil.example"")",3,\'-1+1,"a, b",\r\n'
        ",Äpfel,0,,,2\r\n"
    )
    head = visitor.head("/export.csv")
    assert (head.content, head.headers["content-disposition"]) == (b"", answer.headers["content-disposition"])


@given(st.lists(st.tuples(HOSTILE, HOSTILE, st.none() | HOSTILE, st.integers(0, 2**63 - 1)), min_size=1, max_size=8))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("'=1+1", "\t=x", "  ", 2**63 - 1), (" @spaced ", "'", "\r\n", 0), ("\u00a0=x", "''-", None, 1)])
def test_what_is_exported_is_unchanged_when_it_is_imported_again(
    shared: psycopg.Connection, shared_url: str, items: list[tuple[str, str, str | None, int]]
) -> None:
    shared.execute("DELETE FROM inventory")
    for name, unit, location, quantity in items:
        shared.execute(
            "INSERT INTO inventory (name, unit, location, quantity, code)"
            " SELECT %(name)s, %(unit)s, %(location)s, %(quantity)s, nullif(inventory_trim(reverse(%(name)s)), '')"
            "  WHERE inventory_trim(%(name)s) <> '' ON CONFLICT DO NOTHING",
            {"name": name, "unit": unit, "location": location, "quantity": quantity},
        )
    there = shared.execute("SELECT count(*) FROM inventory").fetchone()
    file = b"".join(asyncio.run(_collected(export_csv(shared_url, View()))))
    with importing(shared_url) as connection:
        review = read_file(connection, io.BytesIO(file), "export.csv")
        connection.rollback()
    assert (review.problems.first, review.changes, review.added) == ([], [], 0)
    assert (review.unchanged,) == there


async def _collected(parts: AsyncIterator[bytes]) -> list[bytes]:
    return [part async for part in parts]


async def test_rows_are_fetched_in_batches_and_no_faster_than_they_are_read(
    shared: psycopg.Connection, shared_url: str
) -> None:
    shared.execute(
        "INSERT INTO inventory (name, quantity) SELECT 'item ' || i, i FROM generate_series(1, %s) AS i",
        [3 * BATCH_ROWS + 1],
    )
    parts = export_csv(shared_url, View(sort="id"))
    await anext(parts)
    assert (await anext(parts)).count(b"\r\n") == BATCH_ROWS
    fetched = (
        "SELECT query FROM pg_stat_activity WHERE application_name = 'live-inventory export' AND state LIKE 'idle in%'"
    )
    assert shared.execute(fetched).fetchone() == (f'FETCH FORWARD {BATCH_ROWS} FROM "export"',)
    assert [part.count(b"\r\n") async for part in parts] == [BATCH_ROWS, BATCH_ROWS, 1]
    assert shared.execute(fetched).fetchone() is None


def test_all_rows_are_as_they_were_at_one_moment(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    shared.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || i, 1 FROM generate_series(1, 20000) AS i")
    with visitor.stream("GET", "/export.csv", headers={"Accept-Encoding": "identity"}) as answer:
        parts = answer.iter_bytes()
        text = next(parts)
        shared.execute("UPDATE inventory SET quantity = 2")
        text += b"".join(parts)
    assert {row["quantity"] for row in csv.DictReader(io.StringIO(text.decode("utf-8-sig")))} == {"1"}


def test_too_many_at_once_are_told_to_come_back(visitor: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_pages, "EXPORTS_AT_ONCE", 0)
    answer = visitor.get("/export.csv")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    monkeypatch.undo()
    assert visitor.get("/export.csv").status_code == 200
    assert import_pages._exports == set()


def test_a_table_that_somebody_alters_is_not_waited_for(
    visitor: httpx.Client, shared: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LOCK_LIMIT", "10ms")
    with shared.transaction():
        shared.execute("LOCK TABLE inventory IN ACCESS EXCLUSIVE MODE")
        assert visitor.get("/export.csv").status_code == 503
    assert visitor.get("/export.csv").status_code == 200


def test_a_database_that_is_away_is_an_error_and_no_empty_file(shared_url: str) -> None:
    with serve(shared_url) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_pages, "_url", lambda request: f"host=/nowhere-{os.getpid()}")
        answer = httpx.get(f"{server.url}/export.csv", verify=False)
    assert answer.status_code == 503
    assert "content-disposition" not in answer.headers
