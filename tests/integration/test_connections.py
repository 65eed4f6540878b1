"""Sockets that are handed off and sockets that are not look the same from outside: raw bytes, no database."""

import gc
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Opcode
from websockets.server import ServerProtocol
from websockets.sync.client import connect as connect_client

from tests.integration.echo import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    EchoServer,
    RawClient,
    close,
    closed_gate,
    frame,
    raw_client,
    serve_echo,
    unread,
)
from tests.integration.parts import certificate
from tests.waiting import eventually
from webapp.sockets.handoff import HandOffProtocol
from webapp.sockets.peer import Peer


@pytest.fixture(scope="module", params=[True, False], ids=["handed off", "plain"])
def server(request: pytest.FixtureRequest) -> Iterator[EchoServer]:
    with serve_echo(hand_off=request.param) as running:
        yield running


@pytest.fixture
def client(server: EchoServer) -> Iterator[RawClient]:
    with raw_client(server) as opened:
        yield opened
    eventually(lambda: all(each.is_lost for each in server.app.clients))


GOODBYE = frame(CLOSE, close(1000))
FAREWELL = (CLOSE, close(1000))
WELL = {
    "text": ([frame(TEXT, "größer".encode())], [(TEXT, "größer".encode())]),
    "nothing": ([frame(TEXT)], [(TEXT, b"")]),
    "fragments with control frames between": (
        [frame(TEXT, b"Hel", fin=False), frame(PING, b"a"), frame(CONT, b"lo", fin=False), frame(PONG), frame(CONT)],
        [(PONG, b"a"), (TEXT, b"Hello")],
    ),
    "a character in two fragments": (
        [frame(TEXT, b"\xe2\x82", fin=False), frame(CONT, b"\xac")],
        [(TEXT, "€".encode())],
    ),
    "a long ping": ([frame(PING, b"x" * 125)], [(PONG, b"x" * 125)]),
    "a pong": ([frame(PONG, b"nobody asked")], []),
    "a long text": ([frame(TEXT, b"y" * 7_999)], [(TEXT, b"y" * 7_999)]),
}
WRONG = {
    "not masked": (frame(TEXT, b"x", mask=False), 1002),
    "compressed": (frame(TEXT, b"x", rsv1=True), 1002),
    "a reserved bit": (frame(TEXT, b"x", rsv3=True), 1002),
    "an unknown opcode": (b"\x83\x80\0\0\0\0", 1002),
    "a continuation of nothing": (frame(CONT, b"x"), 1002),
    "a message within another": (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
    "too long a ping": (frame(PING, b"x" * 126), 1002),
    "a ping in fragments": (frame(PING, fin=False), 1002),
    "half a close code": (frame(CLOSE, b"\x03"), 1002),
    "a close code that is none": (frame(CLOSE, close(1005)), 1002),
    "a close reason that is no text": (frame(CLOSE, close(1000) + b"\xff"), 1007),
    "no UTF-8": (frame(TEXT, b"\xff"), 1007),
    "no UTF-8 in fragments": (frame(TEXT, b"\xe2\x82", fin=False) + frame(CONT, b"!"), 1007),
    "binary": (frame(BINARY, b"x"), 1003),
    "too many characters": (frame(TEXT, b"x" * 8_001), 1009),
    "a frame without end": (b"\x81\xff" + (2**63 - 1).to_bytes(8, "big"), 1009),
    "too long in fragments": (frame(TEXT, b"x" * 40_000, fin=False) + frame(CONT, b"x" * 40_000), 1009),
    "a flood": (frame(TEXT, b"x") * 121, 1008),
}


@pytest.mark.parametrize("cut", [None, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize(("sent", "answer"), WELL.values(), ids=WELL)
def test_what_is_right_is_answered(
    client: RawClient, sent: list[bytes], answer: list[tuple[Opcode, bytes]], cut: int | None
) -> None:
    data = b"".join(sent)
    for start in range(0, len(data), cut or len(data)):
        client.socket.sendall(data[start : start + (cut or len(data))])
    client.read(lambda: len(client.frames) >= len(answer))
    client.socket.sendall(GOODBYE)
    assert client.read() == [*answer, FAREWELL]


@pytest.mark.parametrize(("sent", "code"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_with_the_code_for_it(client: RawClient, sent: bytes, code: int) -> None:
    client.socket.sendall(sent + frame(TEXT, b"not heard"))
    last = client.read()[-1]
    assert last[0] is CLOSE
    assert int(Close.parse(last[1]).code) == code


@pytest.mark.parametrize("data", [b"", close(1000, "bye"), close(1001), close(4000, "own")], ids=repr)
def test_a_goodbye_is_returned_and_nothing_after_it_is_heard(client: RawClient, data: bytes) -> None:
    client.socket.sendall(frame(CLOSE, data) + frame(TEXT, b"not heard"))
    assert client.read() == [(CLOSE, data)]


def test_who_closes_only_its_half_has_gone(client: RawClient, server: EchoServer) -> None:
    client.socket.sendall(frame(TEXT, b"half a message", fin=False))
    client.socket.shutdown(socket.SHUT_WR)
    assert client.read() == []
    eventually(lambda: server.app.clients[-1].is_lost)


ONE_S_END, TWO = frame(CONT, b"e"), frame(TEXT, b"two")
BEFORE = {
    "a message": ([frame(TEXT, b"one")], [TWO]),
    "and part of a frame": ([frame(TEXT, b"one"), TWO[:3]], [TWO[3:]]),
    "a fragment": ([frame(TEXT, b"on", fin=False)], [ONE_S_END, TWO]),
    "a fragment and part of a frame": ([frame(TEXT, b"on", fin=False), ONE_S_END[:1]], [ONE_S_END[1:], TWO]),
}


@pytest.mark.parametrize(("before", "after"), BEFORE.values(), ids=BEFORE)
def test_what_came_before_the_hand_off_is_not_lost(server: EchoServer, before: list[bytes], after: list[bytes]) -> None:
    with closed_gate(server), raw_client(server) as client:
        client.socket.sendall(b"".join(before))
        eventually(lambda: unread(server))
        server.app.gate.set()
        client.socket.sendall(b"".join(after))
        client.read(lambda: len(client.frames) == 2)
        client.socket.sendall(GOODBYE)
        assert client.read() == [(TEXT, b"one"), (TEXT, b"two"), FAREWELL]


def test_a_binary_message_that_began_before_the_hand_off_is_refused(server: EchoServer) -> None:
    with closed_gate(server), raw_client(server) as client:
        client.socket.sendall(frame(BINARY, b"\x00", fin=False))
        eventually(lambda: unread(server))
        server.app.gate.set()
        client.socket.sendall(frame(CONT))
        assert [int(Close.parse(data).code) for _, data in client.read()] == [1003]


def test_who_goes_before_the_hand_off_is_lost(server: EchoServer) -> None:
    with closed_gate(server), raw_client(server) as client:
        client.socket.sendall(GOODBYE)
        assert client.read() == [FAREWELL]
    eventually(lambda: all(each.is_lost for each in server.app.clients) and not server.connections)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Let nothing be freed that is not free by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_socket_that_was_handed_off_leaves_nothing_of_the_server_behind(uncollected: None) -> None:
    def of_the_server() -> list[object]:
        return [each for each in gc.get_objects() if isinstance(each, HandOffProtocol | ServerProtocol)]

    others = of_the_server()  # of servers that have stopped: a timer may hold them for a while
    with serve_echo() as server, raw_client(server) as client:
        eventually(lambda: server.app.ended and all(each in others for each in of_the_server()))
        assert [type(each) for each in server.connections] == [Peer]
        client.socket.sendall(frame(TEXT, b"still here"))
        client.read(lambda: client.frames)
        server.stop()
        assert client.read() == [(TEXT, b"still here"), (CLOSE, close(1012))]


def test_who_is_silent_is_pinged_and_closed() -> None:
    with (
        serve_echo(ws_ping_interval=0.1) as server,
        raw_client(server) as silent,
        connect_client(server.socket_url) as answering,
    ):
        assert silent.read() == [(PING, b""), (CLOSE, close(1011, "keepalive ping timeout"))]
        answering.send("alive")
        assert answering.recv(timeout=10) == "alive"


def test_sockets_that_are_compressed_are_not_handed_off() -> None:
    with serve_echo(ws_per_message_deflate=True) as server, connect_client(server.socket_url) as client:
        client.send("x" * 5_000)
        assert client.recv(timeout=10) == "x" * 5_000
        assert [type(each) for each in server.connections] == [HandOffProtocol]


@pytest.mark.parts
def test_a_socket_with_tls_is_handed_off_as_well(tmp_path: Path) -> None:
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    with serve_echo(**certificate(tmp_path)) as server:
        with connect_client(server.socket_url.replace("ws", "wss"), ssl=unverified, max_size=None) as client:
            for text in ("one", "two", "x" * 7_999, "last"):
                client.send(text)
                assert client.recv(timeout=10) == text
            assert [type(each) for each in server.connections] == [Peer]
            client.send("x" * 8_001)
            with pytest.raises(ConnectionClosed):
                client.recv(timeout=10)
            assert (client.close_code, client.close_reason) == (1009, "too long a message")
        eventually(lambda: not server.connections)
