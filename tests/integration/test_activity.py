import csv
import io
import re
from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import urlencode

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.integration.stories import entries, newest_change, take
from tests.server import LiveServer, serve
from webapp.stock import activity

CHANGE = re.compile(r'<li id="change-(\d+)">')


@pytest.fixture
def server(database_url: str) -> Iterator[LiveServer]:
    with serve(database_url, timezone="Europe/Berlin") as running:
        yield running


@pytest.fixture
def visitor(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, verify=False, timeout=20) as client:
        yield client


def found(visitor: httpx.Client, **search: object) -> list[str]:
    """Return the changes found, each as its words without time and difference."""
    page = visitor.get(f"/activity?{urlencode(search)}").text
    return [" ".join(entry.split()[3:]).removesuffix(" Undo") for entry in entries(page, "changes")]


def exported(visitor: httpx.Client, **search: object) -> list[dict[str, str]]:
    answer = visitor.get(f"/activity.csv?{urlencode(search)}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


@pytest.fixture
def apples(database: psycopg.Connection) -> int:
    """Two items, and a few changes by different people."""
    database.execute("SET application_name = 'psql'")
    apples = make_item(database, name="Apples", quantity=10)
    pears = make_item(database, name="pears", quantity=10)
    take(database, apples, 1, actor="Ana", source="page", reason="lunch")
    take(database, pears, 2, actor="ben", source="api")
    return apples


def test_all_changes_are_there_newest_first(visitor: httpx.Client, apples: int) -> None:
    assert found(visitor) == [
        "pears 10 → 8 ben · api",
        "Apples 10 → 9 Ana · page “ lunch ”",
        "pears added with 10 postgres · psql",
        "Apples added with 10 postgres · psql",
    ]


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ({"item": "PEAR"}, ["pears", "pears"]),
        ({"item": "#1"}, ["Apples", "Apples"]),
        ({"item": "#x"}, []),
        ({"who": "ana"}, ["Apples"]),
        ({"who": "postgres"}, ["pears", "Apples"]),
        ({"how": "api"}, ["pears"]),
        ({"how": "psql", "item": "apples"}, ["Apples"]),
        ({"from": "2000-01-01", "to": "2000-12-31"}, []),
        ({"from": "2000-01-01"}, ["pears", "Apples", "pears", "Apples"]),
        ({"tx": "1"}, []),
    ],
)
def test_changes_are_found_by_item_person_source_and_day(
    visitor: httpx.Client, apples: int, search: dict[str, str], names: list[str]
) -> None:
    assert [entry.split()[0] for entry in found(visitor, **search)] == names
    assert [row["name"] for row in exported(visitor, **search)] == names


def test_an_item_is_found_by_the_name_it_had(visitor: httpx.Client, database: psycopg.Connection, apples: int) -> None:
    database.execute("UPDATE inventory SET name = 'plums' WHERE id = %s", [apples])
    database.execute("DELETE FROM inventory WHERE id = %s", [apples])
    told = [entry.partition(" postgres")[0] for entry in found(visitor, item="apples", who="postgres")]
    assert told == ["plums name Apples → plums", "Apples added with 10"]


def test_a_transaction_is_found_by_its_number(visitor: httpx.Client, database: psycopg.Connection, apples: int) -> None:
    database.execute("UPDATE inventory SET unit = 'kg'")
    row = database.execute("SELECT xid FROM inventory_changes ORDER BY id DESC LIMIT 1").fetchone()
    assert row is not None
    assert [entry.split()[0] for entry in found(visitor, tx=row[0])] == ["pears", "Apples"]
    assert "one of 2 items" in found(visitor, tx=row[0])[0]


def test_days_are_those_of_the_configured_zone(visitor: httpx.Client, database: psycopg.Connection) -> None:
    moments = ["2026-03-28 22:59:59Z", "2026-03-28 23:00Z", "2026-03-29 21:59:59Z", "2026-03-29 22:00Z"]
    for number, at in enumerate(moments):
        make_item(database, name=f"item {number}")
        database.execute("UPDATE inventory_changes SET changed_at = %s WHERE id = %s", [at, newest_change(database)])
    sunday = {"from": "2026-03-29", "to": "2026-03-29"}
    assert [entry[:6] for entry in found(visitor, **sunday)] == ["item 2", "item 1"]


@pytest.mark.parametrize("search", [{"from": "yesterday"}, {"to": "0001-01-01"}, {"to": "9999-12-31"}, {"tx": "-1"}])
def test_what_cannot_be_searched_for_is_said_and_all_is_shown(
    visitor: httpx.Client, apples: int, search: dict[str, str]
) -> None:
    assert 'class="complaints"' in visitor.get(f"/activity?{urlencode(search)}").text
    assert len(found(visitor, **search)) == 4


def test_pages_follow_each_other_without_gap_also_when_changes_come(
    visitor: httpx.Client, database: psycopg.Connection
) -> None:
    item = make_item(database, quantity=1000)
    for _ in range(120):
        take(database, item, 1)
    seen: list[str] = []
    address = "/activity"
    while address:
        page = visitor.get(address).text
        seen += CHANGE.findall(page)
        _, _, rest = page.partition('rel="next" href="')
        address = rest.partition('"')[0].replace("&amp;", "&")
        take(database, item, 1)
    assert seen == [str(number) for number in range(121, 0, -1)]


def test_a_page_looks_through_a_bounded_part_of_the_log_and_offers_to_go_on(
    visitor: httpx.Client, database: psycopg.Connection, apples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "LOOKED_THROUGH", 2)
    page = visitor.get("/activity?how=psql").text
    assert "No match among the newer changes." in page
    _, _, rest = page.partition('rel="next" href="')
    page = visitor.get(rest.partition('"')[0].replace("&amp;", "&")).text
    assert CHANGE.findall(page) == ["2", "1"]
    assert [row["change"] for row in exported(visitor, how="psql")] == ["2", "1"]


@pytest.mark.parametrize("slack", [0, 10_000])
def test_a_day_of_long_ago_is_found_among_many(
    visitor: httpx.Client, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, slack: int
) -> None:
    monkeypatch.setattr(activity, "ID_SLACK", slack)
    for number in range(1, 41):
        make_item(database, name=f"item {number}")
    database.execute(
        "UPDATE inventory_changes SET changed_at = '2020-01-01 12:00Z'::timestamptz + id * interval '1 day'"
    )
    database.execute("DELETE FROM inventory_changes WHERE id IN (11, 20, 21)")
    for day in range(1, 41):
        gone = day in (11, 20, 21)
        on = (date(2020, 1, 1) + timedelta(days=day)).isoformat()
        assert [entry.split()[1] for entry in found(visitor, **{"from": on, "to": on})] == ([] if gone else [str(day)])


def test_the_export_is_for_spreadsheets_and_none_takes_it_for_formulas(
    visitor: httpx.Client, database: psycopg.Connection
) -> None:
    item = make_item(database, name="=HYPERLINK(1)", quantity=5)
    take(database, item, 2, actor="@ana", reason="+1")
    database.execute("UPDATE inventory SET unit = '-x'")
    edit, taking, _ = exported(visitor)
    assert (taking["name"], taking["who"], taking["why"]) == ("'=HYPERLINK(1)", "'@ana", "'+1")
    assert (taking["quantity before"], taking["quantity after"], taking["difference"]) == ("5", "3", "-2")
    assert edit["other fields"] == "unit: — → -x"


def test_a_long_log_is_exported_in_parts(
    visitor: httpx.Client, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "EXPORTED_AT_A_TIME", 100)
    database.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || n, 1 FROM generate_series(1, 1050) AS n")
    assert [int(row["change"]) for row in exported(visitor)] == list(range(1050, 0, -1))


def test_hostile_text_in_a_search_is_text(visitor: httpx.Client, apples: int) -> None:
    page = visitor.get(
        "/activity", params={"item": '"><script>', "who": "\0\ud800".encode("utf-8", "surrogatepass")}
    ).text
    assert "<script>" not in page.partition("</head>")[2]
    assert "No change matches." in page
