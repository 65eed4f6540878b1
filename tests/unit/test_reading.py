"""What a peer understands, against the library whose parser it borrows: whatever comes, in whatever pieces."""

import asyncio
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol

from tests.unit.wire import MAX_BYTES, Connected, masked

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
    st.builds(lambda data: masked(Opcode.TEXT, data + b"\xff"), DATA),
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


@settings(max_examples=300)
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
            assert (connected.peer._reading is None) == (end == len(message)), f"after {end} of {len(message)} bytes"
