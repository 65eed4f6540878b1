"""Clients that are slow on purpose, never end, or are too many: what they hold is bounded, and others are served."""

import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from itertools import repeat

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.server import LiveServer, serve
from tests.waiting import eventually
from webapp.access import crowd
from webapp.server import intake

HEAD = "POST /items HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "PATIENCE_S", 0.3)
    monkeypatch.setattr(intake, "LOOK_S", 0.05)


@pytest.fixture
def raw(shared_server: LiveServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", shared_server.port), timeout=10) as connected:
        yield connected


def answer(raw: socket.socket, sent: str = "") -> str:
    """Send, and read to the end: that it comes is what most tests are about."""
    raw.sendall(sent.encode())
    received = b""
    with suppress(ConnectionResetError):
        while part := raw.recv(65_536):
            received += part
    return received.decode()


def drip(raw: socket.socket, pieces: Iterator[str]) -> str:
    """Send a piece whenever nothing has come for a moment, and read, until the other side ends."""
    received = b""
    with suppress(ConnectionResetError, BrokenPipeError):
        for piece in pieces:
            raw.sendall(piece.encode())
            raw.settimeout(0.02)
            with suppress(TimeoutError):
                part = raw.recv(65_536)
                received += part
                if not part:
                    return received.decode()
        raw.settimeout(10)
        while part := raw.recv(65_536):
            received += part
    return received.decode()


def is_connected(server: LiveServer, raw: socket.socket) -> bool:
    """Whether the server still has the other end."""
    return raw.getsockname() in [each.client for each in server.connections]


@pytest.mark.usefixtures("impatient")
class TestImpatient:
    @pytest.mark.parametrize("sent", ["", "\r\n", "GET / HT", "GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
    def test_who_sends_no_request_is_left(self, raw: socket.socket, sent: str) -> None:
        assert answer(raw, sent).partition("\r\n")[0] == ("HTTP/1.1 408 Request Timeout" if sent else "")

    @pytest.mark.parametrize("piece", ["X: y\r\n", "\r\n"])
    def test_who_sends_a_head_that_never_ends_is_left(self, raw: socket.socket, piece: str) -> None:
        start = "" if piece == "\r\n" else "GET / HTTP/1.1\r\n"
        raw.sendall(start.encode())
        assert drip(raw, repeat(piece)).startswith("HTTP/1.1 408")

    def test_who_sends_a_body_drop_by_drop_is_left(self, raw: socket.socket) -> None:
        raw.sendall(f"{HEAD}Content-Length: 200000\r\n\r\n".encode())
        assert drip(raw, repeat("x")).startswith("HTTP/1.1 408")

    def test_a_body_that_nobody_wants_is_not_waited_for(self, raw: socket.socket) -> None:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        assert drip(raw, repeat("x" * 1_000)).startswith("HTTP/1.1 413")

    def test_a_slow_body_that_moves_is_waited_for(self, raw: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(intake, "MIN_BYTES_PER_S", 1_000)
        raw.sendall(f"{HEAD}Connection: close\r\nContent-Length: 2000\r\n\r\n".encode())
        assert drip(raw, iter(["x" * 50] * 40)).startswith("HTTP/1.1 422")

    def test_who_does_not_read_the_answer_is_left(
        self, shared_server: LiveServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(intake, "MIN_BYTES_PER_S", 10**9)
        with socket.socket() as narrow:
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            narrow.connect(("127.0.0.1", shared_server.port))
            eventually(lambda: is_connected(shared_server, narrow))
            narrow.sendall(b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
            eventually(lambda: not is_connected(shared_server, narrow))


def test_a_head_that_never_ends_is_refused_by_its_size(raw: socket.socket) -> None:
    said = drip(raw, iter(["GET / HTTP/1.1\r\nX: ", *["x" * 11_000] * 6]))
    assert said.startswith("HTTP/1.1 431 Request Header Fields Too Large")


def test_chunk_extensions_and_trailers_that_never_end_are_refused(shared_server: LiveServer) -> None:
    start = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n1"
    for endless in (";x=", "\r\nx\r\n0\r\nX: "):
        with socket.create_connection(("127.0.0.1", shared_server.port), timeout=10) as raw:
            assert drip(raw, iter([start + endless, *["x" * 11_000] * 6])).startswith("HTTP/1.1 431")


@pytest.mark.parametrize("header", ["X-Long: " + "x" * 60_000 + "\r\n", "X: y\r\n" * 101])
def test_more_of_headers_than_any_client_needs_is_refused(raw: socket.socket, header: str) -> None:
    said = answer(raw, f"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{header}\r\n")
    assert said.startswith("HTTP/1.1 431")


def test_a_trailer_is_no_header(raw: socket.socket) -> None:
    chunked = (
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\nOrigin: http://evil.example\r\n\r\n"
    )
    assert answer(raw, HEAD + chunked).startswith("HTTP/1.1 422")


def test_a_client_that_goes_away_in_mid_request_is_no_error(
    shared_server: LiveServer, uvicorn_log: pytest.LogCaptureFixture
) -> None:
    starts = ["", "GET / HT", f"{HEAD}Content-Length: 100\r\n\r\nx", f"{HEAD}Transfer-Encoding: chunked\r\n\r\n1"]
    with ExitStack() as stack:
        for start in starts:
            raw = stack.enter_context(socket.create_connection(("127.0.0.1", shared_server.port)))
            raw.sendall(start.encode())
            eventually(partial(is_connected, shared_server, raw))
    eventually(lambda: not shared_server.connections)
    assert httpx.get(f"{shared_server.url}/healthz").status_code == 200, "whatever they started has ended"
    assert [record.getMessage() for record in uvicorn_log.records if record.levelno >= logging.ERROR] == []


def test_one_address_cannot_take_all_connections(shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "neighbourhood", lambda address, proxies: address)
    with serve(shared_url, max_connections_per_address=3, max_connections=10) as server, ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        several = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(3)]
        eventually(lambda: len(server.connections) == 3)
        with socket.create_connection(address, timeout=10) as one_more:
            refusal = answer(one_more)
        assert refusal.startswith("HTTP/1.1 503")
        assert "retry-after: 5" in refusal
        assert refusal.endswith("There are too many connections from your address.")
        several[0].close()
        eventually(lambda: len(server.connections) == 2)
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_one_address_cannot_take_all_live_pages(shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "neighbourhood", lambda address, proxies: address)
    with serve(shared_url, max_connections_per_address=2) as server, ExitStack() as stack:
        pages = [stack.enter_context(connect(f"{server.socket_url}{path}")) for path in ("/live", "/messages")]
        with connect(f"{server.socket_url}/live") as one_more, pytest.raises(ConnectionClosed):
            one_more.recv(timeout=10)
        assert (one_more.close_code, one_more.close_reason) == (1013, "too many connections from your address")
        pages[0].close()
        eventually(lambda: server.app.state.crowd.parties["127.0.0.1"].size == 1)
        with connect(f"{server.socket_url}/live") as another:
            assert another.ping().wait(10)


def test_all_connections_are_bounded_and_the_operator_hears_of_it_once(
    shared_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(shared_url, max_connections=10) as server, ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        for _ in range(10):
            stack.enter_context(socket.create_connection(address, timeout=10))
        eventually(lambda: len(server.connections) == 10)
        for _ in range(2):
            with socket.create_connection(address, timeout=10) as one_more:
                assert answer(one_more).endswith("There are too many connections.")
    assert caplog.text.count("MAX_CONNECTIONS says how many there may be") == 1
