from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from webapp.access.authentication import cookie_name
from webapp.access.origins import is_same_origin
from webapp.access.security import HEADERS, MAX_BODY_BYTES, Security


async def answer(request: Request, refusal: HTTPException) -> Response:
    return PlainTextResponse(refusal.detail, refusal.status_code)


async def status(*headers: tuple[str, str], allowed: tuple[str, ...] = (), path: str = "/", **scope: Any) -> int:
    """Send a request through the middleware; an application behind it answers 200 once it has read the body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("ok")(scope, receive, send)

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    whole = {"type": "http", "method": "GET", "path": path, "headers": raw, "query_string": b""} | scope
    await Security(app, allowed, answer)(whole, receive, send)
    sent_headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert sent_headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "localhost.", "localhost:", "127.0.0.1", "127.9.9.9:80", "[::1]", "[0:0::1]:8000"],
)
async def test_loopback_is_served_however_it_is_written(host: str) -> None:
    assert await status(("host", host)) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil@localhost",
        "localhost@evil.example",
        "localhost/evil",
        "localhost?evil",
        "localhost#evil",
        "localhost:port",
        "localhost:800000",
        "localhost, evil.example",
        "::1",
        "[::1",
        "[localhost]",
        "[",
        "",
        " ",
        "é",
        "0.0.0.0",
        "127.1",
        "2130706433",
    ],
)
async def test_any_other_host_is_refused(host: str) -> None:
    assert await status(("host", host)) == 400


async def test_a_host_that_comes_never_or_twice_is_refused() -> None:
    assert await status() == 400
    assert await status(("host", "localhost"), ("host", "evil.example")) == 400


async def test_allowed_hosts_are_served_with_any_port_and_their_subdomains_are_not() -> None:
    allowed = ("stock.example.com", "192.168.1.5", "fe80::1")
    for host in ("stock.example.com", "Stock.Example.com.:8443", "192.168.1.5:8000", "[FE80:0::1]"):
        assert await status(("host", host), allowed=allowed) == 200
    for host in ("www.stock.example.com", "example.com", "192.168.1.6"):
        assert await status(("host", host), allowed=allowed) == 400


async def test_a_star_allows_every_host_that_is_one() -> None:
    assert await status(("host", "anything.example"), allowed=("*",)) == 200
    assert await status(("host", "any thing"), allowed=("*",)) == 400


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_are_answered_by_any_name(path: str) -> None:
    assert await status(("host", "10.1.2.3:8000"), path=path) == 200


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8000", "localhost:8000"),
        ("HTTP://LocalHost:8000", "localhost:8000"),
        ("https://stock.example.com", "stock.example.com"),
        ("https://stock.example.com", "stock.example.com:443"),
        ("http://stock.example.com", "stock.example.com:80"),
        ("http://stock.example.com:80", "stock.example.com"),
        ("https://localhost:8000", "localhost:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://localhost.:8000", "localhost.:8000"),
    ],
)
def test_our_own_pages_may_post_also_where_a_proxy_speaks_tls(origin: str, host: str) -> None:
    assert is_same_origin(origin, host)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://localhost",
        "http://localhost:9000",
        "http://127.0.0.1:8000",
        "http://localhost:8000.evil.example",
        "http://localhost:8000@evil.example",
        "http://evil@localhost:8000",
        "http://localhost:8000/",
        "ftp://localhost:8000",
        "file://",
        "//localhost:8000",
        "localhost:8000",
        "http://[",
        "http://]",
        "http://localhost:port",
        "http://localhost:8000 http://evil.example",
    ],
)
async def test_no_other_page_may_post(origin: str) -> None:
    headers = [("host", "localhost:8000"), ("origin", origin)]
    assert await status(*headers, method="POST") == 403
    assert await status(*headers, method="PURGE") == 403
    assert await status(*headers) == 200, "reading is what links do"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "same-origin, cross-site", "SAME-ORIGIN"])
async def test_what_the_browser_calls_another_site_may_not_write_even_without_an_origin(site: str) -> None:
    headers = [("host", "localhost:8000"), ("sec-fetch-site", site)]
    assert await status(*headers, method="POST") == 403
    assert await status(*headers) == 200, "a link from elsewhere may lead here"


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_our_own_pages_and_people_may_write(site: str) -> None:
    headers = [("host", "localhost:8000"), ("sec-fetch-site", site)]
    assert await status(*headers, method="POST") == 200
    assert await status(*headers, ("origin", "http://evil.example"), method="POST") == 403


async def test_where_a_proxy_that_is_trusted_speaks_tls_a_page_without_may_not_post() -> None:
    for origin, expected in (("https://localhost", 200), ("http://localhost", 403)):
        headers = [("host", "localhost"), ("origin", origin)]
        assert await status(*headers, method="POST", scheme="https") == expected


async def test_programs_send_no_origin_and_two_are_no_good() -> None:
    ours = ("origin", "http://localhost:8000")
    assert await status(("host", "localhost:8000"), method="POST") == 200
    assert await status(("host", "localhost:8000"), ours, method="POST") == 200
    assert await status(("host", "localhost:8000"), ours, ours, method="POST") == 403


async def test_a_body_that_says_to_be_too_large_is_refused() -> None:
    host = ("host", "localhost")
    assert await status(host, ("content-length", str(MAX_BODY_BYTES)), method="POST") == 200
    assert await status(host, ("content-length", str(MAX_BODY_BYTES + 1)), method="POST") == 413


@pytest.mark.parametrize(
    ("host", "root", "name"),
    [
        ("stock.example.com", "", "session"),
        ("stock.example.com:8000", "", "session-8000"),
        ("[::1]:8001", "/stock", "session-8001-stock"),
        ("[fe80::8000]", "/our/stock_2/", "session-our-stock-2"),
    ],
)
def test_servers_of_one_host_do_not_take_each_others_cookies(host: str, root: str, name: str) -> None:
    scope = {"type": "http", "scheme": "http", "root_path": root, "headers": [(b"host", host.encode())]}
    assert cookie_name(HTTPConnection(scope)) == name
    assert cookie_name(HTTPConnection(scope | {"scheme": "https"})) == f"__Host-{name}"
