"""Idempotency-Key: what is asked twice is done once, whoever is faster and whatever breaks in between."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.server import LiveServer, serve
from webapp.api.idempotency import FORGOTTEN_AT_ONCE, Once
from webapp.postgres.queries import QUERIES

REPLAYED = "idempotency-replayed"


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


def changes_of(shared: psycopg.Connection, item_id: int) -> int:
    row = shared.execute("SELECT count(*) FROM inventory_changes WHERE item_id = %s", [item_id]).fetchone()
    assert row is not None
    return int(row[0])


def check_same(first: httpx.Response, again: httpx.Response) -> None:
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert again.status_code == first.status_code
    assert again.content == first.content
    for name in ("content-type", "etag", "location", "cache-control"):
        assert again.headers.get(name) == first.headers.get(name)


def test_the_same_request_again_gets_the_same_answer_and_changes_nothing(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    body: dict[str, Any] = {"name": "once", "quantity": 1}
    first = visitor.post("/api/items", json=body, headers=key("add"))
    check_same(first, visitor.post("/api/items", json=dict(reversed(body.items())), headers=key("add")))
    item_id = first.json()["id"]
    for path, sent in (("take", {"by": 1}), ("put", {"by": 5}), ("count", {"quantity": 2})):
        first = visitor.post(f"/api/items/{item_id}/{path}", json=sent, headers=key(path))
        check_same(first, visitor.post(f"/api/items/{item_id}/{path}", json=sent, headers=key(path)))
    assert changes_of(shared, item_id) == 4


def test_a_refusal_is_an_answer_too(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    item_id = make_item(shared, quantity=1)
    path = f"/api/items/{item_id}"
    asked: list[tuple[str, dict[str, int], dict[str, str], int]] = [
        (f"{path}/take", {"by": 2}, key("too-many"), 409),
        (f"{path}/take", {"by": 1}, key("outdated") | {"If-Match": '"9"'}, 412),
        ("/api/items/0/put", {"by": 1}, key("nothing"), 404),
    ]
    answers = [visitor.post(address, json=body, headers=headers) for address, body, headers, _ in asked]
    assert visitor.post(f"{path}/put", json={"by": 5}).is_success, "now there would be enough"
    for first, (address, body, headers, status) in zip(answers, asked, strict=True):
        assert first.status_code == status
        check_same(first, visitor.post(address, json=body, headers=headers))


def test_a_key_that_came_with_another_request_is_refused(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    path = f"/api/items/{make_item(shared)}"
    assert visitor.post(f"{path}/take", json={"by": 1}, headers=key("mine")).is_success
    others: list[tuple[str, dict[str, Any], dict[str, str]]] = [
        (f"{path}/take", {"by": 2}, {}),
        (f"{path}/put", {"by": 1}, {}),
        (f"{path}/take", {"by": 1, "reason": "x"}, {}),
        (f"{path}/take", {"by": 1}, {"If-Match": "*"}),
    ]
    for address, body, headers in others:
        answer = visitor.post(address, json=body, headers=key("mine") | headers)
        assert (answer.status_code, answer.json()["type"]) == (422, "/api#key-reused")


@pytest.mark.parametrize("text", ["", "two words", "x" * 256, "ä"])
def test_a_key_is_of_visible_ascii(visitor: httpx.Client, text: str) -> None:
    headers = [(b"Idempotency-Key", text.encode("latin-1"))]
    answer = visitor.post("/api/items", json={"name": "keys", "quantity": 1}, headers=headers)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["Idempotency-Key"])


def test_a_request_that_could_not_be_understood_leaves_its_key_free(visitor: httpx.Client) -> None:
    assert visitor.post("/api/items", json={"name": "mended"}, headers=key("mended")).status_code == 422
    assert visitor.post("/api/items", json={"name": "mended", "quantity": 1}, headers=key("mended")).is_success


async def test_of_many_at_the_same_time_one_acts_and_all_get_its_answer(
    shared_server: LiveServer, shared: psycopg.Connection
) -> None:
    item_id = make_item(shared, quantity=1000)
    async with httpx.AsyncClient(base_url=shared_server.url, verify=False, timeout=30) as client:

        async def take(number: int) -> httpx.Response:
            body = {"by": number + 1}
            return await client.post(f"/api/items/{item_id}/take", json=body, headers=key(f"order-{number}"))

        answers = await asyncio.gather(*(take(number % 8) for number in range(64)))
    assert {answer.status_code for answer in answers} == {200}
    assert Counter(REPLAYED in answer.headers for answer in answers) == {True: 56, False: 8}
    assert len({answer.content for answer in answers}) == 8
    assert changes_of(shared, item_id) == 1 + 8
    assert shared.execute("SELECT quantity FROM inventory WHERE id = %s", [item_id]).fetchone() == (1000 - 36,)


def test_who_waits_too_long_for_the_first_is_told_that_it_is_in_progress(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.postgres.pool.LOCK_LIMIT", "100ms")
    with serve(database_url) as server, httpx.Client(base_url=server.url, verify=False) as client:
        with database.transaction():
            database.execute(QUERIES["lock_key"], {"key": "slow"})
            answer = client.post("/api/items", json={"name": "slow", "quantity": 1}, headers=key("slow"))
        assert (answer.status_code, answer.json()["type"]) == (409, "/api#in-progress")
        assert answer.headers["retry-after"] == "1"
        assert client.post("/api/items", json={"name": "slow", "quantity": 1}, headers=key("slow")).is_success


def test_what_another_attempt_may_not_meet_is_not_kept(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.postgres.pool.LOCK_LIMIT", "100ms")
    item_id = make_item(database, quantity=3)
    with serve(database_url) as server, httpx.Client(base_url=server.url, verify=False) as client:

        def take() -> httpx.Response:
            return client.post(f"/api/items/{item_id}/take", json={"by": 1}, headers=key("busy"))

        with database.transaction():
            database.execute("UPDATE inventory SET quantity = 2 WHERE id = %s", [item_id])
            answer = take()
        assert (answer.status_code, answer.json()["type"]) == (503, "/api#busy")
        assert answer.headers["retry-after"] == "1"
        again = take()
    assert again.json()["quantity"] == 1
    assert REPLAYED not in again.headers


def test_if_the_answer_cannot_be_kept_nothing_is_done(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(self: Once, *_: object) -> None:
        raise ConnectionAbortedError

    with serve(database_url) as server:

        def add() -> httpx.Response:
            body, address = {"name": "crashed", "quantity": 1}, f"{server.url}/api/items"
            return httpx.post(address, json=body, headers=key("crash"), verify=False)

        with monkeypatch.context() as patched:
            patched.setattr(Once, "_store", crash)
            assert add().status_code == 500
        assert database.execute("SELECT count(*) FROM inventory_changes").fetchone() == (0,)
        again = add()
    assert again.status_code == 201
    assert REPLAYED not in again.headers


def test_a_key_is_forgotten_after_a_day_and_old_ones_go_with_new_ones(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    shared.execute("DELETE FROM inventory_idempotency_keys")
    path = f"/api/items/{make_item(shared, quantity=100)}/take"
    for number in range(FORGOTTEN_AT_ONCE + 5):
        visitor.post(path, json={"by": 1}, headers=key(f"old-{number}"))
    shared.execute("UPDATE inventory_idempotency_keys SET created_at = now() - interval '25 hours'")
    again = visitor.post(path, json={"by": 1}, headers=key("old-0"))
    assert REPLAYED not in again.headers
    assert REPLAYED in visitor.post(path, json={"by": 1}, headers=key("old-0")).headers
    assert visitor.post(path, json={"by": 2}, headers=key("new")).is_success
    left = shared.execute("SELECT key FROM inventory_idempotency_keys ORDER BY key").fetchall()
    assert left == [("new",), ("old-0",)]
