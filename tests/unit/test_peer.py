"""The socket's new owner against the library whose parser it borrows: whatever comes, in whatever pieces."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol

from webapp.broadcast import Broadcast
from webapp.client import Client, Frames, Refusal
from webapp.peer import MAX_BYTES_AT_ONCE, PING_TICKS, Limits, Peer

MAX_BYTES = 60


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.events: list[str] = []

    def write(self, data: Any) -> None:
        assert "write_eof" not in self.events
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return bool({"close", "abort"} & set(self.events))

    def __getattribute__(self, name: str) -> Any:
        if name in ("write_eof", "close", "abort", "pause_reading", "resume_reading"):
            return lambda: self.events.append(name)
        return super().__getattribute__(name)


class Hearer(Client):
    """Keeps what it hears."""

    def __init__(self) -> None:
        super().__init__(Broadcast())
        self.texts: list[str] = []
        self.is_lost = False

    def received(self, text: str | None) -> None:
        if text is None:
            raise Refusal(1003, "text frames only")
        assert not self.is_lost
        self.texts.append(text)

    def lost(self) -> None:
        assert not self.is_lost, "once"
        self.is_lost = True


class Connected:
    """A peer between a wire and a hearer."""

    def __init__(self, interval_s: float | None = None) -> None:
        self.wire, self.hearer = Wire(), Hearer()
        self.peers: set[object] = set()
        self.peer = Peer(self.wire, self.hearer, self.peers, Limits(MAX_BYTES, interval_s))
        self.hearer.connection = self.peer

    def written(self) -> list[tuple[Opcode, bytes]]:
        """Return the frames written."""
        reader = Protocol(CLIENT)
        reader.receive_data(bytes(self.wire.written))
        return [(each.opcode, bytes(each.data)) for each in reader.events_received() if isinstance(each, Frame)]

    def close_codes(self) -> list[int]:
        """Return the codes of the close frames written."""
        return [int(Close.parse(data).code) for opcode, data in self.written() if opcode is Opcode.CLOSE]


def masked(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


DATA = st.text(max_size=8).map(str.encode)
VALID = st.one_of(
    st.builds(lambda data: masked(Opcode.TEXT, data), DATA),
    st.builds(lambda data: masked(Opcode.PING, data), DATA),
    st.builds(lambda data: masked(Opcode.PONG, data), DATA),
    st.builds(
        lambda parts, ping: b"".join(
            masked(Opcode.CONT if number else Opcode.TEXT, part, fin=number == len(parts) - 1)
            + (masked(Opcode.PING, ping) if number < len(parts) - 1 else b"")
            for number, part in enumerate(parts)
        ),
        st.lists(DATA, min_size=2, max_size=4),
        DATA,
    ),
)
LAST = st.one_of(
    st.just(b""),
    st.builds(
        lambda code, reason: masked(Opcode.CLOSE, Close(code, reason).serialize()), st.just(1000), st.text(max_size=5)
    ),
    st.builds(lambda data: masked(Opcode.CLOSE, data), st.binary(max_size=4)),
    st.builds(lambda data: masked(Opcode.TEXT, data * 20), st.just(b"long")),
    st.builds(lambda data: Frame(Opcode.TEXT, data).serialize(mask=False), DATA),
    st.builds(lambda data: masked(Opcode.CONT, data), DATA),
    st.binary(min_size=1, max_size=12),
)


@st.composite
def conversations(draw: st.DrawFn) -> list[bytes]:
    """Draw what a client sends, cut anywhere."""
    sent = b"".join(draw(st.lists(VALID, max_size=6))) + draw(LAST) + draw(st.one_of(st.just(b""), VALID))
    cuts = sorted(draw(st.sets(st.integers(0, len(sent)), max_size=8)))
    return [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


class Told(NamedTuple):
    """What came of a conversation; `code` if the messages themselves were refused."""

    texts: list[str]
    written: bytes
    ended: bool
    code: int = 0


def by_the_library(pieces: list[bytes]) -> Told:
    library = Protocol(SERVER, max_size=MAX_BYTES)
    texts: list[str] = []
    written, message = b"", b""
    for piece in pieces:
        library.receive_data(piece)
        for frame in library.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode is Opcode.BINARY:
                return Told(texts, written, ended=True, code=1003)
            if frame.opcode in (Opcode.TEXT, Opcode.CONT):
                message += frame.data
                if frame.fin:
                    try:
                        texts.append(message.decode())
                    except UnicodeDecodeError:
                        return Told(texts, written, ended=True, code=1007)
                    message = b""
        written += b"".join(library.data_to_send())
    return Told(texts, written, library.state is not OPEN)


@settings(max_examples=300, deadline=None)
@given(conversations())
def test_it_understands_what_the_library_understands(pieces: list[bytes]) -> None:
    expected = by_the_library(pieces)

    async def by_the_peer() -> Connected:
        connected = Connected()
        for piece in pieces:
            connected.peer.data_received(piece)
        connected.peer.connection_lost(None)
        return connected

    connected = asyncio.run(by_the_peer())
    assert connected.hearer.texts == expected.texts
    if expected.code:
        assert expected.code in connected.close_codes() or connected.close_codes()[0] in (1002, 1009)
    else:
        assert bytes(connected.wire.written) == expected.written
        assert ("write_eof" in connected.wire.events) == expected.ended


async def test_it_has_a_parser_only_within_a_message() -> None:
    messages = [
        masked(Opcode.TEXT, b"one"),
        masked(Opcode.PING, b""),
        masked(Opcode.TEXT, b"x" * 50),
        masked(Opcode.TEXT, b"", fin=False) + masked(Opcode.PONG, b"p") + masked(Opcode.CONT, b""),
    ]
    for message in messages:
        connected = Connected()
        for end in range(1, len(message) + 1):
            connected.peer.data_received(message[end - 1 : end])
            assert (connected.peer._parser is None) == (end == len(message)), f"after {end} of {len(message)} bytes"


async def test_the_closing_handshake_is_waited_for_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.peer.CLOSE_LIMIT_S", 0.0)
    connected = Connected()
    connected.peer.close(1013, "too slow a reader")
    assert connected.hearer.is_lost
    assert connected.close_codes() == [1013]
    connected.peer.data_received(masked(Opcode.TEXT, b"more") + masked(Opcode.PING, b"?"))
    assert len(connected.written()) == 1, "it is deaf by now"
    await asyncio.sleep(0.01)
    assert connected.wire.events[-1] == "abort"


async def test_who_is_behind_is_not_read_and_goes_on_when_it_has_drained() -> None:
    connected = Connected()
    connected.peer.pause_writing()
    assert connected.peer.behind_since is not None
    assert connected.wire.events == ["pause_reading"]
    connected.peer.resume_writing()
    assert connected.peer.behind_since is None
    assert connected.wire.events == ["pause_reading", "resume_reading"]


async def test_who_does_not_answer_a_ping_is_closed() -> None:
    silent, alive, behind = Connected(1.0), Connected(1.0), Connected(1.0)
    behind.peer.pause_writing()
    for connected in (silent, alive, behind):
        connected.peer._keep_alive(1.0)
    alive.peer.data_received(masked(Opcode.PONG, b""))
    for connected in (silent, alive, behind):
        connected.peer._keep_alive(1.0)
    assert (silent.close_codes(), silent.hearer.is_lost) == ([1011], True)
    assert alive.written() == [(Opcode.PING, b"")] * 2
    assert behind.written() == [], "there is another limit for that"
    for connected in (silent, alive, behind):
        connected.peer.connection_lost(None)


async def test_those_who_came_at_different_moments_are_pinged_at_few() -> None:
    crowd = [Connected(1_000.0) for _ in range(200)]
    for connected in crowd:
        connected.peer._start_keepalive()
    moments = {round(timer.when()) for connected in crowd if (timer := connected.peer._timer)}
    assert 2 < len(moments) <= PING_TICKS
    for connected in crowd:
        connected.peer.connection_lost(None)


@pytest.mark.parametrize("ends", ["eof_received", "connection_lost", "shutdown"])
async def test_however_it_ends_the_client_is_told_once(ends: str) -> None:
    connected = Connected()
    connected.peers.add(connected.peer)
    connected.peer.data_received(masked(Opcode.TEXT, b"half", fin=False))
    if ends == "eof_received":
        connected.peer.eof_received()
    elif ends == "shutdown":
        connected.peer.shutdown()
        assert connected.close_codes() == [1012]
    connected.peer.connection_lost(None)
    assert connected.hearer.is_lost
    assert not connected.peers


@pytest.mark.parametrize(
    "frame",
    [Frame(Opcode.PING, b""), Frame(Opcode.PONG, b""), Frame(Opcode.TEXT, b"", fin=False), Frame(Opcode.TEXT, b"x")],
)
async def test_a_flood_of_frames_is_ended_before_it_is_read(frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    receive = Protocol.receive_data

    def counted_receive(self: Protocol, data: bytes) -> None:
        read.append(len(data))
        receive(self, data)

    monkeypatch.setattr(Protocol, "receive_data", counted_receive)
    connected = Connected()
    first = frame.serialize(mask=True)
    others = (frame if frame.fin else Frame(Opcode.CONT, b"", fin=False)).serialize(mask=True)
    connected.peer.data_received(first + others * 40_000)
    assert connected.hearer.is_lost
    assert sum(read) <= MAX_BYTES_AT_ONCE
    assert connected.close_codes() == [1008]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0)


@asynccontextmanager
async def over_a_socket(pair: tuple[socket.socket, socket.socket]) -> AsyncIterator[tuple[Peer, socket.socket]]:
    """Give a peer with a real transport over one of two sockets, and the other one."""
    ours, theirs = pair
    ours.settimeout(0)
    theirs.settimeout(5)
    with theirs:
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
        peer = Peer(transport, Hearer(), set(), Limits(MAX_BYTES, None))
        peer.take_over(Protocol(SERVER), [])
        yield peer, theirs
        transport.abort()
        await asyncio.sleep(0)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connecting = socket.create_connection(listening.getsockname())
        return listening.accept()[0], connecting


async def test_what_does_not_fit_into_the_kernel_follows_in_order() -> None:
    async with over_a_socket(tcp_pair()) as (peer, theirs):
        for _ in range(20):
            written = received = b""
            while peer.behind_since is None:
                frames = Frames.of(f"{len(written)}" + "x" * 5_000)
                peer.write(frames)
                written += frames.wire
            while len(received) < len(written):
                received += await asyncio.to_thread(theirs.recv, 1 << 20)
            assert received == written
            await until(lambda: peer.behind_since is None)


async def test_who_has_not_taken_the_very_last_byte_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async with over_a_socket(socket.socketpair()) as (peer, _):
        for size in (4_096, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(peer._fd, b"x" * size)
        monkeypatch.setattr("webapp.peer.os.write", lambda _, data: len(data) - 1)
        peer.write(Frames.of("x"))
        assert peer.behind_since is not None


async def test_nothing_is_written_to_the_number_of_a_socket_that_is_gone() -> None:
    async with over_a_socket(socket.socketpair()) as (peer, theirs):
        number = peer._fd
        theirs.close()
        await until(lambda: peer._transport.get_extra_info("socket").fileno() < 0)
        another, end = socket.socketpair()
        with another, end:
            assert another.fileno() == number
            with suppress(RuntimeError):  # the transport may say that it has ended
                peer.write(Frames.of("x"))
            end.settimeout(0)
            with pytest.raises(BlockingIOError):
                end.recv(1)
