"""What programs are told when something is refused: problem details, whatever and wherever it is."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.factories import make_item
from tests.server import LiveServer, serve
from webapp.access.security import HEADERS, MAX_BODY_BYTES

JSON = {"Content-Type": "application/json"}


def check_problem(answer: httpx.Response, status: int, kind: str = "about:blank") -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
    assert (answer.json()["status"], answer.json()["type"]) == (status, kind)
    assert answer.json()["title"]
    assert answer.json()["detail"]


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/items/", "/api/items/x", "/api/items/-1", "/api/%00"])
def test_an_unknown_address_is_a_problem(visitor: httpx.Client, path: str) -> None:
    check_problem(visitor.get(path), 404)


@pytest.mark.parametrize("item_id", ["0", "999999999", "9" * 19])
def test_an_item_that_is_not_there_is_a_problem_of_that_kind(visitor: httpx.Client, item_id: str) -> None:
    path = f"/api/items/{item_id}"
    check_problem(visitor.get(path), 404, "/api#no-such-item")
    check_problem(visitor.patch(path, json={}, headers={"If-Match": "*"}), 404, "/api#no-such-item")
    check_problem(visitor.delete(path), 404, "/api#no-such-item")
    check_problem(visitor.post(f"{path}/take", json={"by": 1}), 404, "/api#no-such-item")
    check_problem(visitor.post(f"{path}/count", json={"quantity": 1}), 404, "/api#no-such-item")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/items", "GET, HEAD, POST"),
        ("PUT", "/api/items/1", "DELETE, GET, HEAD, PATCH"),
        ("GET", "/api/items/1/take", "POST"),
        ("POST", "/api/changes", "GET, HEAD"),
        ("POST", "/api/openapi.json", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_all_that_are_right(visitor: httpx.Client, method: str, path: str, allowed: str) -> None:
    answer = visitor.request(method, path)
    check_problem(answer, 405)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b'{"name": "\xff"}', b"[" * 100_000, b'{"quantity": ' + b"9" * 5_000 + b"}"]
)
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "broken"}])
def test_what_is_not_json_is_a_problem(visitor: httpx.Client, body: bytes, key: dict[str, str]) -> None:
    check_problem(visitor.post("/api/items", content=body, headers=JSON | key), 400, "/api#not-json")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "\xff;"])
def test_a_body_that_is_not_sent_as_json_is_a_problem(visitor: httpx.Client, kind: str) -> None:
    headers = [(b"Content-Type", kind.encode("latin-1"))]
    body = b'{"name": "typed", "quantity": 1}'
    check_problem(visitor.post("/api/items", content=body, headers=headers), 415)
    check_problem(visitor.post("/api/items", content=body), 415)


def in_pieces() -> Iterator[bytes]:
    for _ in range(MAX_BODY_BYTES // 1_000 + 1):
        yield b" " * 1_000


def test_a_body_that_is_too_large_is_a_problem_whether_it_says_so_or_not(visitor: httpx.Client) -> None:
    check_problem(visitor.post("/api/items", content=b" " * (MAX_BODY_BYTES + 1), headers=JSON), 413)
    check_problem(visitor.post("/api/items", content=in_pieces(), headers=JSON), 413)


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({}, {"name", "quantity"}),
        ({"name": "a", "quantity": 1, "colour": "red"}, {"colour"}),
        ({"name": "a", "quantity": 1, "id": 5}, {"id"}),
        ({"name": " \u200b", "quantity": 1}, {"name"}),
        ({"name": "a\0", "quantity": 1, "unit": "\0", "reason": "\0"}, {"name", "unit", "reason"}),
        ({"name": "n" * 201, "quantity": -1, "code": " "}, {"name", "quantity", "code"}),
        ({"name": 5, "quantity": "5", "reorder_level": 1.5}, {"name", "quantity", "reorder_level"}),
        ({"name": "a", "quantity": 2.0**60, "reorder_level": float(2**63)}, {"quantity", "reorder_level"}),
        ({"name": "a", "quantity": True, "reorder_level": 2**63}, {"quantity", "reorder_level"}),
        ({"name": "a", "quantity": 1, "reason": "r" * 501}, {"reason"}),
    ],
)
def test_each_field_that_cannot_be_used_is_named(
    visitor: httpx.Client, sent: dict[str, object], fields: set[str]
) -> None:
    answer = visitor.post("/api/items", json=sent)
    check_problem(answer, 422, "/api#invalid")
    assert answer.json()["errors"].keys() == fields


def test_halves_of_characters_are_refused_and_break_nothing(visitor: httpx.Client) -> None:
    for body in (rb'{"name": "\ud800", "quantity": 1}', rb'{"name": "a", "quantity": 1, "\udfff": 1}', b'"\\ud800"'):
        check_problem(visitor.post("/api/items", content=body, headers=JSON), 422, "/api#invalid")
    body = rb'{"name": "a", "quantity": 1, "unit": "\ud800"}'
    check_problem(visitor.post("/api/items", content=body, headers=JSON), 422, "/api#invalid")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "low=2", "sort=colour", "q=%00", "lmit=5", "q=" + "x" * 201, "page=2"]
)
def test_a_parameter_that_cannot_be_used_is_no_silent_fallback(visitor: httpx.Client, query: str) -> None:
    answer = visitor.get(f"/api/items?{query}")
    check_problem(answer, 422, "/api#invalid")
    assert query.partition("=")[0] in answer.json()["errors"]


def test_a_name_or_code_that_is_taken_is_a_conflict(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    make_item(shared, name="Nägel", code="4711-x")
    path = f"/api/items/{make_item(shared)}"
    for answer in (
        visitor.post("/api/items", json={"name": "NÄGEL", "quantity": 1}),
        visitor.patch(path, json={"name": "nägel"}),
    ):
        check_problem(answer, 409, "/api#name-taken")
    check_problem(visitor.patch(path, json={"code": "4711-X"}), 409, "/api#code-taken")


def test_other_sites_and_unknown_hosts_are_refused_and_programs_pass(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    path = f"/api/items/{make_item(shared)}"
    check_problem(visitor.delete(path, headers={"Origin": "http://evil.example"}), 403)
    check_problem(visitor.get(path, headers={"Host": "evil.example"}), 400)
    assert visitor.delete(path).status_code == 204


@contextmanager
def away(admin_url: str, name: str) -> Iterator[None]:
    """Let nobody connect to a database, and end all connections to it."""
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("false")))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        connection.execute(allow.format(sql.Identifier(name), sql.SQL("true")))


def test_a_database_that_is_away_is_a_problem_and_so_is_a_defect(
    monkeypatch: pytest.MonkeyPatch, admin_url: str, database_url: str, database: psycopg.Connection
) -> None:
    monkeypatch.setattr("webapp.postgres.pool.CONNECTION_LIMIT_S", 0.5)
    with serve(database_url) as server, httpx.Client(base_url=server.url, verify=False, timeout=20) as client:
        path = f"/api/items/{make_item(database)}"
        database.execute("ALTER TABLE inventory RENAME TO elsewhere")
        answer = client.get(path)
        check_problem(answer, 500)
        assert answer.headers["connection"] == "close", "or the next request could be lost: uvicorn closes it"
        database.execute("ALTER TABLE elsewhere RENAME TO inventory")
        with away(admin_url, database.info.dbname):
            answer = client.get(path)
        check_problem(answer, 503)
        assert answer.headers["retry-after"] == "5"
        assert client.get(path).status_code == 200


def test_the_page_of_an_error_elsewhere_is_still_a_page(shared_server: LiveServer, visitor: httpx.Client) -> None:
    for path in ("/nothing", "/apiary"):
        assert visitor.get(path).headers["content-type"] == "text/html; charset=utf-8"
