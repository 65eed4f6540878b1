"""The socket's new owner: how it ends, and with whom it has patience."""

import asyncio

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol
from websockets.utils import apply_mask

from tests.unit.wire import Connected, masked
from webapp.sockets.client import MAX_FRAMES
from webapp.sockets.keepalive import PING_TICKS
from webapp.sockets.peer import MAX_BYTES_AT_ONCE
from webapp.sockets.reading import Reading

LIKE_A_PONG = bytes((0x8A ^ ord("H"), 0x80 ^ ord("i"), 0, 0))  # a mask by which a message looks so


async def test_the_closing_handshake_is_waited_for_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.sockets.peer.CLOSE_LIMIT_S", 0.0)
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


async def test_answers_to_pings_need_no_parser_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int | None] = []
    begin = Reading.begin

    def counted_begin(max_message_bytes: int | None) -> Reading:
        begun.append(max_message_bytes)
        return begin(max_message_bytes)

    monkeypatch.setattr(Reading, "begin", counted_begin)
    connected = Connected()
    for _ in range(MAX_FRAMES):
        connected.peer.data_received(masked(Opcode.PONG, b""))
    assert (begun, connected.hearer.is_lost) == ([], False)
    connected.peer.data_received(masked(Opcode.PONG, b""))
    assert (connected.close_codes(), connected.hearer.is_lost) == ([1008], True)


@pytest.mark.parametrize(
    ("pieces", "codes"),
    [
        ((masked(Opcode.TEXT, b"H", fin=False), masked(Opcode.PONG, b""), masked(Opcode.CONT, b"i you")), []),
        ((masked(Opcode.PONG, b"")[:3], masked(Opcode.PONG, b"")[3:], masked(Opcode.TEXT, b"Hi you")), []),
        ((masked(Opcode.PONG, b"") + masked(Opcode.TEXT, b"Hi you"),), []),
        ((b"\x8a\x84masked", b"up", masked(Opcode.TEXT, b"Hi you")), []),
        ((b"\x81\x86" + LIKE_A_PONG, apply_mask(b"Hi you", LIKE_A_PONG)), []),
        ((b"\x8a\x04bare",), [1002]),
        ((b"\x0a\x80mask",), [1002]),
    ],
)
async def test_pongs_are_understood_however_they_come(pieces: tuple[bytes, ...], codes: list[int]) -> None:
    connected = Connected()
    for piece in pieces:
        connected.peer.data_received(piece)
    assert connected.close_codes() == codes
    assert connected.hearer.texts == ([] if codes else ["Hi you"])


async def test_those_who_came_at_different_moments_are_pinged_at_few() -> None:
    crowd = [Connected(1_000.0) for _ in range(200)]
    for connected in crowd:
        connected.peer._start_keepalive(1_000.0)
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
