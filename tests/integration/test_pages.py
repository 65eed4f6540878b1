"""Forms and addresses as a client without scripts, and as htmx, meets them."""

import re

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.server import serve
from webapp.postgres import pool as pool_module

GONE = 2**63 - 1


def quantity(database: psycopg.Connection, item_id: int) -> int | None:
    row = database.execute("SELECT quantity FROM inventory WHERE id = %s", [item_id]).fetchone()
    return row[0] if row else None


def test_a_plain_form_adds_an_item_and_leads_back_to_the_view(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    before = {"Referer": f"{visitor.base_url}/?q=new&low=1"}
    answer = visitor.post("/items", data={"name": " newly added ", "quantity": "3"}, headers=before)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?q=new&low=1")
    row = shared.execute("SELECT name, quantity, unit FROM inventory WHERE name LIKE 'newly%'").fetchone()
    assert row == ("newly added", 3, None)
    assert "newly added" in visitor.get("/?q=newly").text


def test_htmx_gets_the_form_back_ready_for_the_next(htmx: httpx.Client) -> None:
    answer = htmx.post("/items", data={"name": "by htmx", "quantity": "3"})
    assert answer.status_code == 201
    assert answer.text.startswith("<form")
    assert "Added <bdi>by htmx</bdi>" in answer.text


def test_raw_utf8_as_curl_sends_it_is_understood(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert visitor.post("/items", content="name=Äpfel 🍏&quantity=1".encode(), headers=headers).status_code == 303
    assert shared.execute("SELECT count(*) FROM inventory WHERE name = 'Äpfel 🍏'").fetchone() == (1,)


@pytest.mark.parametrize("client", ["visitor", "htmx"])
def test_a_refused_form_comes_back_as_it_was_typed(client: str, request: pytest.FixtureRequest) -> None:
    typed = {"name": '<b>"&', "quantity": "-3", "unit": "u" * 41, "location": "Shelf 3"}
    answer = request.getfixturevalue(client).post("/items", data=typed)
    assert answer.status_code == 422
    assert ("<html" in answer.text) is (client == "visitor")
    for value in ("&lt;b&gt;&#34;&amp;", "-3", "u" * 41, "Shelf 3"):
        assert f'value="{value}"' in answer.text
    for field, sentence in (("quantity", "whole number"), ("unit", "41 characters")):
        assert re.search(rf'aria-describedby="new-{field}-error"', answer.text)
        assert re.search(rf'id="new-{field}-error">[^<]*{sentence}', answer.text)


def test_a_taken_name_is_told_beside_it(htmx: httpx.Client, shared: psycopg.Connection) -> None:
    make_item(shared, name="Ärmel")
    answer = htmx.post("/items", data={"name": "äRMEL", "quantity": "1"})
    assert answer.status_code == 422
    assert re.search('id="new-name-error">There is already an item called “äRMEL”', answer.text)


def test_a_refused_form_keeps_the_view_and_its_address_can_be_reloaded(visitor: httpx.Client) -> None:
    before = {"Referer": f"{visitor.base_url}/?q=something"}
    assert 'value="something"' in visitor.post("/items", data={"name": ""}, headers=before).text
    answer = visitor.get("/items")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_taking_putting_and_deleting_work_by_plain_posts(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    item_id = make_item(shared, quantity=10)
    for action, data, left in (("take", {"by": "3"}, 7), ("put", {"by": "1"}, 8), ("put", {}, 9), ("delete", {}, None)):
        answer = visitor.post(f"/items/{item_id}/{action}", data=data)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert quantity(shared, item_id) == left


def test_htmx_needs_no_answer_since_the_socket_tells(htmx: httpx.Client, shared: psycopg.Connection) -> None:
    answer = htmx.post(f"/items/{make_item(shared)}/take")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("action", "by", "status", "sentence"),
    [
        ("take", "11", 409, "Only 10 of “scarce {}” in stock: 11 cannot be taken."),
        ("put", str(GONE), 409, f"cannot hold more than {GONE}"),
        ("take", "0", 422, "A whole number from 1"),
        ("put", "few", 422, "A whole number from 1"),
    ],
)
def test_what_the_stock_does_not_allow_is_a_sentence_and_changes_nothing(
    visitor: httpx.Client,
    htmx: httpx.Client,
    shared: psycopg.Connection,
    action: str,
    by: str,
    status: int,
    sentence: str,
) -> None:
    name = f"{action}{by}"
    item_id = make_item(shared, name=f"scarce {name}", quantity=10)
    for client in (visitor, htmx):
        answer = client.post(f"/items/{item_id}/{action}", data={"by": by})
        assert answer.status_code == status
        assert sentence.format(name) in answer.text
        assert ("<html" in answer.text) is (client is visitor)
    assert quantity(shared, item_id) == 10


@pytest.mark.parametrize("item_id", ["0", str(GONE), str(2**63), "9" * 19, "1" + "0" * 40, "1" * 5_000, "-1", "abc"])
def test_an_item_that_is_not_there_is_not_found(visitor: httpx.Client, item_id: str) -> None:
    for action in ("take", "put", "delete"):
        assert visitor.post(f"/items/{item_id}/{action}").status_code == 404
    assert visitor.get(f"/items/{item_id}/delete").status_code == 404


def test_an_item_that_somebody_else_is_changing_is_told_instead_of_waiting_for_ever(
    shared_url: str, shared: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "LOCK_LIMIT", "200ms")
    item_id = make_item(shared)
    with serve(shared_url) as server, shared.transaction():
        shared.execute("UPDATE inventory SET quantity = 1 WHERE id = %s", [item_id])
        answer = httpx.post(f"{server.url}/items/{item_id}/take", verify=False)
    assert answer.status_code == 503
    assert "Somebody else is changing this item" in answer.text


@pytest.mark.parametrize(
    "referer", ["http://[", "http://evil.example/?q=1", "//evil.example", "javascript:alert(1)", "ÿ"]
)
def test_nobody_else_decides_where_a_form_leads(
    visitor: httpx.Client, shared: psycopg.Connection, referer: str
) -> None:
    headers = [(b"Referer", referer.encode("latin-1"))]
    answer = visitor.post(f"/items/{make_item(shared)}/put", headers=headers)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_fragments_are_for_htmx_only_and_caches_know(visitor: httpx.Client, htmx: httpx.Client) -> None:
    page, fragment = visitor.get("/?q=a"), htmx.get("/?q=a")
    assert page.text.startswith("<!DOCTYPE html>")
    assert fragment.text.startswith('<section id="view"')
    for answer in (page, fragment):
        assert "HX-Request-Type" in answer.headers["vary"]
        assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("typed", "canonical"), [("q=&low=", "/"), ("q=a&sort=name&page=1", "/?q=a"), ("q=%zz", "/?q=%25zz")]
)
def test_htmx_is_given_the_one_address_of_a_view(htmx: httpx.Client, typed: str, canonical: str) -> None:
    assert htmx.get(f"/?{typed}").headers["hx-push-url"] == canonical
    assert "hx-push-url" not in htmx.get(canonical).headers
