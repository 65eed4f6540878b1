"""Items by the JSON API: read, add, edit, delete, take, put and count."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.server import LiveServer
from webapp.stock.items import MAX_QUANTITY


def quantity_of(shared: psycopg.Connection, item_id: int) -> Any:
    row = shared.execute("SELECT quantity FROM inventory WHERE id = %s", [item_id]).fetchone()
    return row and row[0]


def history_of(shared: psycopg.Connection, item_id: int) -> list[tuple[Any, ...]]:
    return shared.execute(
        "SELECT operation, source, reason FROM inventory_changes WHERE item_id = %s ORDER BY id", [item_id]
    ).fetchall()


def test_an_item_that_is_added_can_be_read_at_its_location(visitor: httpx.Client) -> None:
    sent = {"name": " screws M4 ", "quantity": 7, "unit": "box", "location": " ", "reorder_level": 7, "code": "4006"}
    added = visitor.post("/api/items", json=sent)
    assert (added.status_code, added.headers["etag"]) == (201, '"1"')
    assert added.json() == visitor.get(added.headers["location"]).json()
    expected = {"name": "screws M4", "quantity": 7, "unit": "box", "location": None, "low": True, "version": 1}
    assert added.json().items() >= expected.items()


def test_quantities_are_exact_up_to_the_largest(visitor: httpx.Client) -> None:
    added = visitor.post("/api/items", json={"name": "grains of sand", "quantity": MAX_QUANTITY}).json()
    assert added["quantity"] == MAX_QUANTITY
    answer = visitor.post(f"/api/items/{added['id']}/put", json={"by": 1})
    assert (answer.status_code, answer.json()["type"]) == (409, "/api#too-much")


def test_a_whole_number_may_be_written_as_a_float(visitor: httpx.Client) -> None:
    assert visitor.post("/api/items", json={"name": "floats", "quantity": 3.0}).json()["quantity"] == 3


def test_the_history_tells_that_it_was_the_api_and_why(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    added = visitor.post("/api/items", json={"name": "history", "quantity": 7, "reason": "new"}).json()
    path = f"/api/items/{added['id']}"
    visitor.patch(path, json={"unit": "kg", "reason": "weighed"})
    visitor.post(f"{path}/take", json={"by": 1, "reason": "sold"})
    visitor.post(f"{path}/put", json={"by": 1})
    visitor.post(f"{path}/count", json={"quantity": 3, "reason": "counted"})
    assert visitor.delete(path, params={"reason": "gone"}).status_code == 204
    reasons = ["new", "weighed", "sold", None, "counted", "gone"]
    operations = ["insert", *["update"] * 4, "delete"]
    assert history_of(shared, added["id"]) == [(o, "api", r) for o, r in zip(operations, reasons, strict=True)]


def test_only_the_fields_that_are_sent_change_and_null_empties(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    item_id = make_item(shared, quantity=3, unit="kg", location="shelf")
    answer = visitor.patch(f"/api/items/{item_id}", json={"unit": None, "quantity": 4})
    assert answer.headers["etag"] == '"2"'
    expected = {"quantity": 4, "unit": None, "location": "shelf", "version": 2}
    assert answer.json().items() >= expected.items()
    assert visitor.patch(f"/api/items/{item_id}", json={}).headers["etag"] == '"2"'


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "take", "put", "count"])
@pytest.mark.parametrize("tag", ['"2"', 'W/"1"', "1", '"2", "3"'])
def test_a_version_that_is_not_the_present_one_changes_nothing(
    visitor: httpx.Client, shared: psycopg.Connection, method: str, tag: str
) -> None:
    item_id = make_item(shared, quantity=10)
    bodies = {"PATCH": {"quantity": 1}, "take": {"by": 1}, "put": {"by": 1}, "count": {"quantity": 1}}
    verb, path = (method, "") if method.isupper() else ("POST", f"/{method}")
    body = bodies.get(method)
    address = f"/api/items/{item_id}{path}"
    answer = visitor.request(verb, address, headers={"If-Match": tag}, json=body)
    assert (answer.status_code, answer.headers["etag"]) == (412, '"1"')
    assert answer.json()["type"] == "/api#changed-meanwhile"
    assert answer.json()["current"] == visitor.get(f"/api/items/{item_id}").json()
    assert quantity_of(shared, item_id) == 10
    assert visitor.request(verb, address, headers={"If-Match": '"5", "1"'}, json=body).is_success


def test_who_has_the_present_version_is_not_sent_it_again(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    path = f"/api/items/{make_item(shared)}"
    for tags in ('"1"', 'W/"1"', '"7", "1"', "*"):
        answer = visitor.get(path, headers={"If-None-Match": tags})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')
    assert visitor.get(path, headers={"If-None-Match": '"2"'}).status_code == 200
    head = visitor.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", '"1"')


async def test_of_a_hundred_who_take_one_of_ten_exactly_ten_succeed(
    shared_server: LiveServer, shared: psycopg.Connection
) -> None:
    item_id = make_item(shared, quantity=10)
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=shared_server.url, verify=False, timeout=30, limits=limits) as client:
        taking = (client.post(f"/api/items/{item_id}/take", json={"by": 1}) for _ in range(100))
        answers = await asyncio.gather(*taking)
    assert Counter(answer.status_code for answer in answers) == {200: 10, 409: 90}
    assert sorted(answer.json()["quantity"] for answer in answers if answer.is_success) == list(range(10))
    refused = [answer.json() for answer in answers if not answer.is_success]
    assert {(one["type"], one["asked"], one["available"]) for one in refused} == {("/api#not-enough", 1, 0)}
    assert quantity_of(shared, item_id) == 0
    taken = shared.execute(
        "SELECT before_quantity, after_quantity FROM inventory_changes WHERE item_id = %s AND operation = 'update'"
        " ORDER BY id",
        [item_id],
    ).fetchall()
    assert taken == [(left, left - 1) for left in range(10, 0, -1)]
