"""Lists for programs: the page's own search, order and filters, in pages that no write in between can disturb."""

import random
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.server import serve
from tests.waiting import eventually
from webapp.api.cursors import read_cursor, write_cursor
from webapp.api.values import ORDERS


@pytest.fixture
def client(database_url: str) -> Iterator[httpx.Client]:
    with serve(database_url) as server, httpx.Client(base_url=server.url, verify=False, timeout=20) as client:
        yield client


def pages(client: httpx.Client, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """Follow `next` to the end."""
    address, query = "/api/items", {"limit": 2, **query}
    answer = client.get(address, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.json()["items"]
        following = answer.json()["next"]
        assert answer.links.get("next", {}).get("url") == following
        if following is None:
            return
        answer = client.get(following)


def ids(client: httpx.Client, **query: Any) -> list[int]:
    return [item["id"] for page in pages(client, **query) for item in page]


def ids_on_the_page(client: httpx.Client, **query: Any) -> list[int]:
    """Return the ids of the rows that the page for people shows."""
    html = client.get("/", params=query).text
    return [int(part.partition('"')[0]) for part in html.split('<tr id="item-')[1:]]


def make_mixed_items(database: psycopg.Connection) -> None:
    chance = random.Random(4)
    for number in range(40):
        make_item(
            database,
            name=f"{chance.choice('aäÄbß😀')} {number}",
            quantity=chance.choice([0, 5, 5, 2**63 - 1]),
            unit=chance.choice([None, "kg", "Kg", ""]),
            location=chance.choice([None, "shelf", "Shelf", "cellar"]),
            reorder_level=chance.choice([None, 0, 5]),
            code=chance.choice([None, f"C-{number}"]),
        )


def test_every_order_and_filter_is_that_of_the_page(client: httpx.Client, database: psycopg.Connection) -> None:
    make_mixed_items(database)
    views: list[dict[str, str]] = [{"sort": order} for order in ORDERS]
    views += [{"low": "1"}, {"location": "shelf", "sort": "-quantity"}, {"q": "ä"}, {"q": "c-1", "sort": "-code"}]
    for view in views:
        expected = ids_on_the_page(client, **view)
        for limit in (1, 3, 500):
            assert ids(client, limit=limit, **view) == expected, (view, limit)


@pytest.mark.parametrize("order", ["name", "-quantity", "unit", "-code"])
def test_the_item_whose_code_is_searched_comes_first_and_only_once(
    client: httpx.Client, database: psycopg.Connection, order: str
) -> None:
    others = [make_item(database, name=f"bolt 4711 {letter}", unit=letter) for letter in "abc"]
    exact = make_item(database, name="zinc", code="4711")
    found = ids(client, q="4711", limit=1, sort=order)
    assert found[0] == exact
    assert sorted(found[1:]) == others


def test_a_cursor_of_another_list_or_made_up_goes_nowhere(client: httpx.Client, database: psycopg.Connection) -> None:
    for _ in range(3):
        make_item(database)
    following = client.get("/api/items", params={"limit": 1}).json()["next"]
    cursor = following.partition("cursor=")[2]
    is_exact, key, item_id, digest = read_cursor(cursor, 4)
    forged = [write_cursor(is_exact, *place, digest) for place in ((key, True), ("\ud800", item_id), ("\0", item_id))]
    made_up = ("x", "W10", "bnVsbA", "WzEsMiwzLDRd", "A" * 4000, *forged)
    for query in ({"cursor": cursor, "sort": "-name"}, {"cursor": cursor, "q": "a"}, *({"cursor": c} for c in made_up)):
        answer = client.get("/api/items", params=query)
        assert (answer.status_code, answer.json()["type"]) == (410, "/api#unusable-cursor")
    assert client.get("/api/items", params={"cursor": cursor, "limit": 2}).status_code == 200


class Disturbance:
    """Adds and deletes items without pause, anywhere in the order; those called "still ..." are left alone."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._write)
        self._writes = 0

    def __enter__(self) -> "Disturbance":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def wait(self, writes: int) -> None:
        """Return when so many more writes are committed."""
        wanted = self._writes + writes
        eventually(lambda: self._writes >= wanted)

    def _write(self) -> None:
        chance = random.Random(7)
        with closing(psycopg.connect(self._url, autocommit=True)) as connection:
            while not self._ends.is_set():
                passing = f"{chance.choice('az')} {chance.random()}"
                make_item(connection, name=passing, quantity=chance.randint(0, 150), unit=chance.choice([None, "kg"]))
                if connection.execute("SELECT count(*) > 60 FROM inventory").fetchone() == (True,):
                    connection.execute(
                        "DELETE FROM inventory WHERE id = (SELECT id FROM inventory WHERE name NOT LIKE 'still %'"
                        " ORDER BY random() LIMIT 1)"
                    )
                self._writes += 1


@pytest.fixture
def still(database: psycopg.Connection) -> list[int]:
    """Items that nobody changes."""
    units = ("kg", None, "box")
    return [make_item(database, name=f"still {n}", quantity=n * 3, unit=units[n % 3]) for n in range(40)]


@pytest.mark.parametrize("order", ["name", "-quantity", "-updated_at", "unit"])
def test_no_item_that_stays_as_it_is_comes_twice_or_is_left_out(
    client: httpx.Client, database_url: str, still: list[int], order: str
) -> None:
    with Disturbance(database_url) as disturbance:
        disturbance.wait(30)
        for _ in range(3):
            seen = []
            for page in pages(client, sort=order, limit=3):
                seen += [item["id"] for item in page]
                disturbance.wait(1)
            assert sorted(one for one in seen if one in still) == still


def test_pages_by_offset_would_fail_that_test(
    database_url: str, database: psycopg.Connection, still: list[int]
) -> None:
    with Disturbance(database_url) as disturbance:
        disturbance.wait(30)
        seen: list[int] = []
        while rows := database.execute(
            "SELECT id FROM inventory ORDER BY name, id LIMIT 3 OFFSET %s", [len(seen)]
        ).fetchall():
            seen += [row[0] for row in rows]
            disturbance.wait(1)
    assert sorted(one for one in seen if one in still) != still
