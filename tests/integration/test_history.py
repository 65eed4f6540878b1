import re
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.integration.stories import entries, fact, make_old, newest_change, take
from tests.server import LiveServer
from webapp.live.item_view import HISTORY_ROWS


@pytest.fixture
def visitor(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, verify=False, timeout=20) as client:
        yield client


def test_an_item_tells_what_it_is(shared: psycopg.Connection, shared_server: LiveServer) -> None:
    item = make_item(shared, name="<b>bolts</b>", quantity=3, unit="boxes", location="A", reorder_level=5, code="B-1")
    page = httpx.get(f"{shared_server.url}/items/{item}", verify=False).text
    assert "<title>&lt;b&gt;bolts&lt;/b&gt; · Inventory</title>" in page
    assert fact(page, "quantity").startswith("Quantity 3 boxes")
    assert fact(page, "reorder_level") == "Reorder at 5 reached"
    assert fact(page, "location") == "Location A"
    assert fact(page, "code") == "Code B-1"
    assert "version 1" in fact(page, "updated_at")
    assert "low stock" in page


def test_the_history_says_who_how_why_and_what_before_and_after(
    visitor: httpx.Client, database: psycopg.Connection
) -> None:
    item = make_item(database, quantity=10, unit="pcs")
    take(database, item, 3, actor="ana", source="page", reason="for the stall")
    database.execute("SET application_name = 'nightly'")
    database.execute("UPDATE inventory SET location = 'Shelf 2', unit = 'boxes'")
    edit, taking, adding = entries(visitor.get(f"/items/{item}").text)
    assert "edit unit pcs → boxes location — → Shelf 2" in edit
    assert "nightly" in edit
    assert "−3 10 → 7 ana · page “ for the stall ” Undo" in taking
    assert "new added with 10 unit pcs" in adding


def test_the_history_is_paged_by_change_and_newest_first(visitor: httpx.Client, database: psycopg.Connection) -> None:
    item = make_item(database, quantity=1000)
    for _ in range(HISTORY_ROWS + 5):
        take(database, item, 1)
    first = visitor.get(f"/items/{item}").text
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older
    take(database, item, 1)
    second = visitor.get(older[1]).text
    assert len(entries(first)) == HISTORY_ROWS
    assert len(entries(second)) == 6, "a change that came meanwhile moves nothing to another page"
    assert "995 → 994" in entries(first)[-1]
    assert "new" in entries(second)[-1]
    assert 'rel="next"' not in second
    assert f'rel="prev" href="/items/{item}"' in second


def test_a_change_that_was_taken_back_says_so_and_cannot_be_undone_again(
    visitor: httpx.Client, database: psycopg.Connection
) -> None:
    item = make_item(database, quantity=10)
    taking = take(database, item, 3)
    assert f'formaction="/changes/{taking}/undo"' in visitor.get(f"/items/{item}").text
    answer = visitor.post(f"/changes/{taking}/undo", headers={"Referer": f"{visitor.base_url}/items/{item}?before=9"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/items/{item}?before=9")
    page = visitor.get(f"/items/{item}").text
    assert f'formaction="/changes/{taking}/undo"' not in page
    assert "undone" in entries(page)[1]
    assert f"undo of change {taking}" in entries(page)[0]
    assert fact(page, "quantity").startswith("Quantity 10")


def test_only_our_own_pages_are_gone_back_to(visitor: httpx.Client, database: psycopg.Connection) -> None:
    item = make_item(database, quantity=10)
    for sent_from in (
        "https://evil.example/items/1",
        f"{visitor.base_url}/items/1/delete",
        f"{visitor.base_url}//evil",
    ):
        answer = visitor.post(f"/items/{item}/take", headers={"Referer": sent_from})
        assert answer.headers["location"] == "/"


def test_changes_older_than_a_day_offer_no_undo(visitor: httpx.Client, database: psycopg.Connection) -> None:
    item = make_item(database, quantity=10)
    make_old(database, days=2)
    assert "/undo" not in visitor.get(f"/items/{item}").text


def test_a_deleted_item_keeps_its_page_and_comes_back_from_it(
    visitor: httpx.Client, database: psycopg.Connection
) -> None:
    item = make_item(database, name="apples", quantity=10, unit="kg")
    database.execute("DELETE FROM inventory")
    deletion = newest_change(database)
    answer = visitor.get(f"/items/{item}")
    assert answer.status_code == 200
    assert "apples (deleted)" in answer.text
    assert "gone deleted with 10 unit kg" in entries(answer.text)[0]
    assert "/take" not in answer.text
    assert answer.text.count(f'formaction="/changes/{deletion}/undo"') == 2
    visitor.post(f"/changes/{deletion}/undo")
    page = visitor.get(f"/items/{item}").text
    assert "(deleted)" not in page
    assert fact(page, "quantity").startswith("Quantity 10 kg")
    assert len(entries(page)) == 3


def test_an_item_that_was_truncated_away_says_when(visitor: httpx.Client, database: psycopg.Connection) -> None:
    item = make_item(database, quantity=10)
    database.execute("TRUNCATE inventory")
    page = visitor.get(f"/items/{item}").text
    assert "Deleted." in page
    assert "all Every item was removed" in entries(page)[0]
    assert 'class="now"' not in page, "the line of the chart ends where the item did"


@pytest.mark.parametrize("item", ["4711", "0", "9223372036854775807", "9999999999999999999"])
def test_an_item_that_never_was_is_not_found(shared_server: LiveServer, item: str) -> None:
    assert httpx.get(f"{shared_server.url}/items/{item}", verify=False).status_code == 404


def test_the_stock_lasts_by_what_was_taken_and_not_brought_back(
    visitor: httpx.Client, database: psycopg.Connection
) -> None:
    item = make_item(database, quantity=130, reorder_level=20)
    make_old(database, days=60)
    assert fact(visitor.get(f"/items/{item}").text, "cover") == "Lasts about — nothing used in 30 days"
    take(database, item, 30)
    make_old(database, days=29)
    visitor.post(f"/changes/{take(database, item, 50)}/undo")
    page = visitor.get(f"/items/{item}").text
    assert fact(page, "cover") == "Lasts about 100 days 30 used in 30 days"
    assert fact(page, "reorder_level") == "Reorder at 20 reached in 80 days"
