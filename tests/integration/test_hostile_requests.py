"""A walk over all routes with what no browser would send, as nobody and in each role."""

from collections.abc import Iterator
from contextlib import suppress

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.accounts import cookie, make_account, token_for, wait_until_closed
from tests.factories import make_item
from tests.integration.test_roles import NEEDED
from tests.server import LiveServer, serve
from webapp.roles import GIVEN_ROLES, Role

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
BIDI, LONG, HUGE = "\u202e\u2066<b>", "x" * 10_240, "9" * 5_000
BODIES = [
    (FORM, b"name=what+anybody+may+type&quantity=1&by=1"),
    (FORM, b"name=%00&quantity=1&version=1&by=1&role=admin&label=%00&days=1&old=%00&password=%00&digest=%00&token=%00"),
    (FORM, f"name={BIDI}&quantity=-{HUGE}&version={HUGE}&by={HUGE}&reason={LONG}&days={HUGE}&next=//evil".encode()),
    (
        JSON,
        b'{"name": "\\u0000", "quantity": 1e999, "by": ' + HUGE.encode() + b', "reason": "\\ud800", "code": {"a": []}}',
    ),
    (JSON, b"[" * 10_000),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="\x00"\r\n\r\n\xff\x00\r\n--x--\r\n',
    ),
]
IDS = ["0", "1", "9223372036854775807", HUGE, "-1", "%00", "%E2%80%AE", "..%2f..%2fetc%2fpasswd"]
QUERIES = [
    "",
    "?q=%00&sort=%00&page=-1",
    f"?q={LONG}&page={HUGE}&cursor={LONG}&after=0",
    "?low=%ff&item=%00&token=%00&wait=-1",
]
ENDING = ("/sign-out", "/account/sign-out-everywhere", "/account/sessions/{}/close")  # the walk's own session
HEADERS: list[list[tuple[bytes, bytes]]] = [
    [(b"If-Match", b'"' + HUGE.encode() + b'"'), (b"Idempotency-Key", b"\xff" * 300)],
    [
        (b"If-Match", b"W/\xe2\x80\xae"),
        (b"If-None-Match", b","),
        (b"HX-Request-Type", b"partial"),
        (b"HX-Target", b"\xff"),
    ],
    [(b"Referer", b"http://["), (b"Accept", b"\xff"), (b"User-Agent", LONG.encode()), (b"Accept-Encoding", b"\xff")],
    [
        (b"X-Forwarded-For", b"\xff, 1"),
        (b"X-Forwarded-Proto", b"javascript"),
        (b"Range", b"bytes=9-1"),
        (b"X-Request-Id", b"\xff"),
    ],
]


@pytest.fixture(scope="module")
def server(shared_url: str) -> Iterator[LiveServer]:
    with serve(shared_url, trusted_proxies="127.0.0.1") as running:
        make_account(shared_url, "an admin", "admin")
        wait_until_closed(running)
        yield running


@pytest.fixture(scope="module", params=["nobody", *GIVEN_ROLES])
def who(request: pytest.FixtureRequest, server: LiveServer, shared_url: str) -> tuple[Role, dict[str, str]]:
    if request.param == "nobody":
        malformed = cookie(server, "\xff")["Cookie"]
        return Role.NOBODY, {"Cookie": f"{malformed}; {malformed}b; =; " + "x" * 4_000}
    account = make_account(shared_url, f"hostile {request.param}", request.param)
    return account.role, cookie(server, token_for(shared_url, account))


def test_no_route_breaks_and_who_may_not_changes_nothing(
    server: LiveServer, shared: psycopg.Connection, who: tuple[Role, dict[str, str]]
) -> None:
    role, said = who
    make_item(shared, quantity=10)
    before, wrong = state(shared), []
    headers = [(name.encode(), value.encode("latin-1")) for name, value in said.items()]
    with httpx.Client(base_url=server.url, verify=False, timeout=20) as client:
        for turn, route in enumerate(route for route in NEEDED for _ in BODIES):
            method, path = route.split(" ")
            if method == "WEBSOCKET" or path in ENDING:
                continue
            address = path.replace("{}", IDS[turn % len(IDS)]) + QUERIES[turn % len(QUERIES)]
            kind, body = BODIES[turn % len(BODIES)]
            more = [*headers, *HEADERS[turn % len(HEADERS)], (b"Content-Type", kind.encode("latin-1"))]
            answer = client.request(method, address, headers=more, content=None if method == "GET" else body)
            if answer.status_code >= 500:
                wrong.append((route, turn, answer.status_code))
    assert wrong == []
    if role < Role.EDITOR:
        assert state(shared) == before


def state(database: psycopg.Connection) -> list[tuple[object, ...]]:
    """All that somebody could want to change."""
    return database.execute(
        "SELECT (SELECT count(*) FROM inventory_changes), (SELECT count(*) FROM inventory_imports),"
        " (SELECT array_agg(a ORDER BY id) FROM inventory_accounts AS a), (SELECT count(*) FROM inventory_tokens)"
    ).fetchall()


def test_no_socket_breaks(server: LiveServer, who: tuple[Role, dict[str, str]]) -> None:
    role, said = who
    for query in QUERIES:
        assert (
            end_of(f"{server.socket_url}/live{query}", said)
            == ((1008, 400) if role else (403, 400))[len(query) > 8_000]
        )
        assert end_of(f"{server.socket_url}/messages{query}", said) in ((None, 400) if role else (403, 400))


def end_of(address: str, said: dict[str, str]) -> int | None:
    """Send nonsense; return the status or the code with which it ends, None if it is not minded."""
    try:
        with connect(address, additional_headers=said) as opened:
            opened.send("\x00" + BIDI)
            with suppress(ConnectionClosed, TimeoutError):
                opened.recv(5 if "/live" in address else 0.1)
            return opened.close_code
    except InvalidStatus as refused:
        return refused.response.status_code
