"""Requests that are not for us, too large or not to be understood: a page of an error, and nothing else happens."""

import contextlib
import http.client
import socket
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.factories import make_item
from tests.server import LiveServer
from webapp.access.security import HEADERS, MAX_BODY_BYTES
from webapp.stock.forms import MAX_FIELDS

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PART = b'--B\r\nContent-Disposition: form-data; name="name"%s\r\n\r\nx\r\n--B--\r\n'


def check_refused(answer: httpx.Response, status: int, text: str = "") -> None:
    assert answer.status_code == status
    assert text in answer.text
    assert answer.headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "localhost@evil.example", "[", "0.0.0.0"])
def test_a_host_that_is_not_ours_is_refused_with_what_to_do(visitor: httpx.Client, host: str) -> None:
    answer = visitor.get("/", headers={"Host": host})
    check_refused(answer, 400, "add it to ALLOWED_HOSTS")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_a_request_without_a_host_is_refused(shared_server: LiveServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared_server.port)
    connection.putrequest("GET", "/", skip_host=True)
    connection.endheaders()
    with contextlib.closing(connection):
        assert connection.getresponse().status == 400


def test_an_allowed_host_is_served(visitor: httpx.Client) -> None:
    assert visitor.get("/", headers={"Host": "Stock.Example.com:443"}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[", "http://127.0.0.1"])
def test_a_form_of_another_site_changes_nothing(visitor: httpx.Client, shared: psycopg.Connection, origin: str) -> None:
    item_id = make_item(shared, quantity=10)
    check_refused(visitor.post(f"/items/{item_id}/take", headers={"Origin": origin}), 403, "other sites")
    assert shared.execute("SELECT quantity FROM inventory WHERE id = %s", [item_id]).fetchone() == (10,)


def test_htmx_gets_a_refusal_as_a_line_for_its_page(htmx: httpx.Client) -> None:
    check_refused(htmx.post("/items/1/take", headers={"Origin": "http://evil.example"}), 403, "<p>Requests")
    check_refused(htmx.post("/items", content=b"x" * (MAX_BODY_BYTES + 1), headers=FORM), 413, "<p>The request is")


def test_a_page_behind_a_proxy_that_speaks_tls_may_post(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    headers = {"Host": "stock.example.com", "Origin": "https://stock.example.com"}
    assert visitor.post(f"/items/{make_item(shared)}/take", headers=headers).status_code == 303


@pytest.mark.parametrize("path", ["/live", "/messages"])
@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "http://evil.example"),
        ("localhost", "null"),
        ("localhost", "http://["),
        ("localhost", "http://localhost:9000"),
        ("evil.example", "http://evil.example"),
    ],
)
def test_a_socket_of_another_site_is_not_opened(shared_server: LiveServer, path: str, host: str, origin: str) -> None:
    connected = socket.create_connection(("127.0.0.1", shared_server.port))
    headers = {"Origin": origin}
    with (
        pytest.raises(InvalidStatus) as refusal,
        connect(f"ws://{host}{path}", sock=connected, additional_headers=headers),
    ):
        pass
    connected.close()
    assert refusal.value.response.status_code == 403


def test_a_socket_of_our_own_page_is_opened(shared_server: LiveServer) -> None:
    for origin in (shared_server.url, shared_server.url.replace("http", "https")):
        with connect(f"{shared_server.socket_url}/live", additional_headers={"Origin": origin}):
            pass


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(size // 1_000):
        yield b"x" * 1_000


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(visitor: httpx.Client) -> None:
    check_refused(visitor.post("/items", content=b"x" * (MAX_BODY_BYTES + 1), headers=FORM), 413, "the limit is")
    check_refused(visitor.post("/items", content=pieces(300_000), headers=FORM), 413, "the limit is")


def test_a_large_body_of_one_field_is_told_beside_the_field(visitor: httpx.Client) -> None:
    answer = visitor.post("/items", data={"name": "n" * 10_000, "quantity": "1"})
    assert answer.status_code == 422
    assert "10000 characters" in answer.text


@pytest.mark.parametrize(
    "body", [b"name=%ff&quantity=1", b"name=\xff&quantity=1", b"name=%ED%A0%80&quantity=1", b"\x1f\x8b\x08"]
)
def test_text_that_is_not_utf8_is_refused_and_not_guessed(visitor: httpx.Client, body: bytes) -> None:
    check_refused(visitor.post("/items", content=body, headers=FORM), 400, "not UTF-8")


def test_too_many_fields_are_refused(visitor: httpx.Client) -> None:
    body = "&".join(f"f{number}=" for number in range(MAX_FIELDS + 1))
    check_refused(visitor.post("/items", content=body, headers=FORM), 400, "too many fields")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"name": "x", "quantity": 1, "by": 5}'),
        ("text/plain", b"name=x&quantity=1"),
        ("multipart/form-data; boundary=B", PART % b""),
        ("multipart/form-data; boundary=B", PART % b'; filename="x"'),
        ("multipart/form-data; boundary=B; charset=punycode", PART % b""),
        ("multipart/form-data", b"--"),
        ("\xff;;=", b"x"),
    ],
)
def test_what_is_not_a_form_is_refused_and_not_taken_for_an_empty_one(
    visitor: httpx.Client, shared: psycopg.Connection, kind: str, body: bytes
) -> None:
    item_id = make_item(shared, quantity=10)
    for path in ("/items", f"/items/{item_id}/take"):
        headers = [(b"Content-Type", kind.encode("latin-1"))]
        check_refused(visitor.post(path, content=body, headers=headers), 415, "application/x-www-form-urlencoded")
    assert shared.execute("SELECT quantity FROM inventory WHERE id = %s", [item_id]).fetchone() == (10,)


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=%ED%A0%80",
        "q=%",
        "q=" + "x" * 9_000,
        "page=" + "9" * 5_000,
        "sort=;DROP",
        "&".join(["q=1"] * 5_000),
        "&=&",
    ],
)
@pytest.mark.parametrize("client", ["visitor", "htmx"])
def test_no_query_string_breaks_the_page(client: str, query: str, request: pytest.FixtureRequest) -> None:
    assert request.getfixturevalue(client).get(f"/?{query}").status_code == 200


def test_nothing_but_files_of_the_right_shape_of_address_is_redirected(visitor: httpx.Client) -> None:
    for path in ("//evil.example/", "/items/1/delete/", "/healthz/", "/static"):
        assert visitor.get(str(visitor.base_url) + path).status_code == 404
