"""The protocols of `/live` and `/messages`, and clients that break them."""

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.factories import make_item
from tests.server import LiveServer
from tests.waiting import eventually
from webapp.live import page
from webapp.sockets import client, connection, payloads

RESUME = json.dumps({"type": "resume", "revision": "", "summary": ""})


@pytest.fixture
def live(shared_server: LiveServer) -> Iterator[ClientConnection]:
    with connect(f"{shared_server.socket_url}/live", max_size=None) as opened:
        yield opened


@pytest.fixture
def messages(shared_server: LiveServer) -> Iterator[ClientConnection]:
    with connect(f"{shared_server.socket_url}/messages") as opened:
        yield opened


def narrow_socket(server: LiveServer) -> socket.socket:
    """Connect with a small buffer, so that what is not read waits at the server."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.connect(("127.0.0.1", server.port))
    return narrow


def closing(connection: ClientConnection) -> tuple[int | None, str | None]:
    """Read until the other side closes; return its code and reason."""
    with suppress(ConnectionClosed):
        while True:
            connection.recv(timeout=10)
    return connection.close_code, connection.close_reason


@pytest.mark.parametrize("path", ["/live", "/messages"])
def test_a_socket_watches_until_it_is_closed(shared_server: LiveServer, path: str) -> None:
    listener = shared_server.app.state.hub.listener
    eventually(lambda: not listener.watchers)
    with connect(f"{shared_server.socket_url}{path}"):
        eventually(lambda: listener.watchers == 1)
    eventually(lambda: not listener.watchers)


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"\x00\xff", 1003, "text frames only"),
        ("hello", 1008, "not JSON"),
        ("", 1008, "not JSON"),
        ("[" * 7_900, 1008, "not JSON"),
        ('{"type": "resume", "n": ' + "1" * 7_000 + "}", 1008, "not JSON"),
        ("[]", 1008, "not a resume message"),
        ("null", 1008, "not a resume message"),
        ('"resume"', 1008, "not a resume message"),
        ('{"type": ["resume"]}', 1008, "not a resume message"),
        ("x" * 8_001, 1009, "too long a message"),
        ("x" * 1_000_000, 1009, "frame with 1000000 bytes exceeds limit of 65536 bytes"),
    ],
)
def test_a_client_that_breaks_the_rules_is_told_which(
    live: ClientConnection, message: str | bytes, code: int, reason: str
) -> None:
    live.send(message)
    assert closing(live) == (code, reason)


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"revision": 1, "summary": []},
        {"revision": "\ud800", "summary": "\0"},
        {"revision": "x" * 7_000, "other": {}},
    ],
)
def test_whatever_revision_is_claimed_the_whole_view_comes(live: ClientConnection, claims: dict[str, object]) -> None:
    live.send(json.dumps({"type": "resume", **claims}))
    frames = ""
    while 'id="revision"' not in frames or 'id="beat"' not in frames:
        frames += str(live.recv(timeout=10))
    assert 'hx-target="#rows"' in frames


def test_nothing_is_sent_before_the_page_has_said_what_it_shows(
    shared_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "RESUME_LIMIT_S", 0.3)
    with connect(f"{shared_server.socket_url}/live") as silent, pytest.raises(ConnectionClosed):
        silent.recv(timeout=10)
    assert (silent.close_code, silent.close_reason) == (1008, "no resume message")


@pytest.mark.parametrize("path", ["/live", "/messages"])
def test_a_client_may_send_two_frames_a_second(shared_server: LiveServer, path: str) -> None:
    with connect(f"{shared_server.socket_url}{path}", max_size=None) as opened:
        for _ in range(client.MAX_FRAMES - 1):
            opened.send(RESUME)
        assert opened.ping().wait(10), "it is still open"
        opened.send(RESUME)
        assert closing(opened) == (1008, "too many frames")


def test_clients_that_vanish_in_any_state_leave_nothing_behind(
    shared_server: LiveServer, uvicorn_log: pytest.LogCaptureFixture
) -> None:
    states: list[list[str | bytes]] = [[], [RESUME], [b"x"], ["x" * 9_000], [RESUME] * 121]
    for number in range(20):
        for path in (f"/live?q={number}", "/messages"):
            with connect(f"{shared_server.socket_url}{path}", max_size=None, close_timeout=1) as opened:
                for message in states[number % len(states)]:
                    with suppress(ConnectionClosed):
                        opened.send(message)
                with suppress(OSError):
                    opened.socket.shutdown(socket.SHUT_RDWR)
    hub = shared_server.app.state.hub
    eventually(lambda: not hub._pages and not hub.payloads.readers)
    told = [record for record in uvicorn_log.records if record.name == "uvicorn.error"]
    assert [record.getMessage() for record in told if record.levelno >= logging.ERROR] == []


def test_programs_get_what_the_triggers_say_as_it_is(messages: ClientConnection, shared: psycopg.Connection) -> None:
    make_item(shared, name='“raw” \\ <b>"', quantity=10)
    payload = json.loads(messages.recv(timeout=10))
    assert payload.items() >= {"name": '“raw” \\ <b>"', "quantity": 10}.items()


@pytest.mark.parametrize(
    "payload", ['{"name": "apples", "quantity": 10}', "not json", "<script>", "[" * 7_000, " ", "\r\n"]
)
def test_programs_get_what_anybody_notifies_as_it_is(
    messages: ClientConnection, shared: psycopg.Connection, payload: str
) -> None:
    messages.ping().wait(10)
    shared.execute("SELECT pg_notify('messages_channel', %s)", [payload])
    assert messages.recv(timeout=10) == payload


def test_a_program_that_does_not_read_is_dropped_and_others_are_not(
    shared_server: LiveServer, shared: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "MAX_WAITING_PAYLOADS", 50)
    monkeypatch.setattr(connection, "GOODBYE_LIMIT_S", 10)
    address = f"{shared_server.socket_url}/messages"
    with connect(address, sock=narrow_socket(shared_server), max_queue=1) as slow, connect(address) as quick:
        for number in range(1_500):
            payload = f"{number} {'x' * 7_900}"
            shared.execute("SELECT pg_notify('messages_channel', %s)", [payload])
            assert quick.recv(timeout=10) == payload
        eventually(lambda: len(shared_server.app.state.hub.payloads.readers) == 1)
        assert closing(slow) == (1013, "too slow a reader")


def test_a_page_that_never_reads_is_left_after_a_while(
    shared_server: LiveServer, shared: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "WRITE_LIMIT_S", 0.3)
    monkeypatch.setattr(connection, "GOODBYE_LIMIT_S", 0.1)
    with shared.transaction():
        for number in range(50):
            make_item(shared, name=f"{number:0>4}{'<' * 196}", location="<" * 200)
    hub = shared_server.app.state.hub
    address, narrow = f"{shared_server.socket_url}/live", narrow_socket(shared_server)

    def left_while_rows_change() -> bool:
        shared.execute("UPDATE inventory SET quantity = quantity + 1")
        return not hub._pages

    with connect(address, sock=narrow, max_queue=1, close_timeout=0.1) as page:
        page.send(RESUME)
        eventually(lambda: hub._pages)
        eventually(left_while_rows_change, within_s=30)
