"""A peer between a transport that keeps what is written and a client that keeps what it hears."""

import asyncio
from typing import Any

from websockets.frames import Close, Frame, Opcode
from websockets.protocol import CLIENT, Protocol

from webapp.live.broadcast import Broadcast
from webapp.sockets.client import Client, Refusal
from webapp.sockets.peer import Limits, Peer

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
