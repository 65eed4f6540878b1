"""A WebSocket in a few hundred bytes: it owns the socket, and reads with a parser only within a message."""

import asyncio
import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SEND_EOF, Protocol

from webapp.sockets.client import SERVICE_RESTART, Client, Frames, Refusal
from webapp.sockets.keepalive import Keepalive, is_pong
from webapp.sockets.reading import Reading

CLOSE_LIMIT_S = 10.0
NO_FILE = -1  # nothing can be written to it
MAX_UNSENT_BYTES = 16 * 1024  # what the kernel may hoard for a client: old states, to be read before the newest
USER_TIMEOUT_MS = 40_000
MAX_BYTES_AT_ONCE = 4 * 1024  # hundreds of the tiniest frames, so that a flood of them is seen before it takes long


@dataclass(frozen=True, slots=True)
class Limits:
    """What all peers of a server share. Without an interval nobody is pinged."""

    max_message_bytes: int | None
    ping_interval_s: float | None


class Peer(Keepalive):
    """Speaks the protocol by means of the `websockets` library, whose parser it drops between two messages.

    The client is told each message, and its loss as soon as either side begins to close. The socket stays for the rest
    of the closing handshake, `CLOSE_LIMIT_S` at most.
    """

    __slots__ = ("_client", "_fd", "_limits", "_peers", "_reading")

    def __init__(self, transport: asyncio.Transport, client: Client, peers: set[Any], limits: Limits) -> None:
        super().__init__(transport)
        self._client: Client | None = client
        self._peers = peers
        self._limits = limits
        self._fd = NO_FILE
        self._reading: Reading | None = None

    def take_over(self, parser: Protocol, frames: Iterable[Frame]) -> None:
        """Go on where the handshake ended: with its parser, and the frames that came since."""
        self._reading = reading = Reading(parser)
        self._peers.add(self)
        self._transport.set_protocol(self)
        self._transport.resume_reading()
        connected, is_plain = self._transport.get_extra_info("socket"), not self._transport.get_extra_info("sslcontext")
        # Behind is whoever has not taken all that was written; with TLS a limit of 0 would mean always.
        self._transport.set_write_buffer_limits(high=0 if is_plain else 1, low=0)
        _set_options(connected)
        if is_plain and os.name == "posix":
            self._fd = connected.fileno()
        self._start_keepalive(self._limits.ping_interval_s)
        if self._client:
            self._client.connection = self
        self._act(reading, frames)

    # What the application and the server call

    def write(self, frames: Frames) -> None:
        """Send frames without waiting: past the transport, which has nothing to send as long as nobody is behind."""
        wire = frames.wire
        try:
            written = os.write(self._fd, wire)
        except OSError:
            written = 0  # the transport will see for itself why
        if written < len(wire):
            self._transport.write(wire[written:])

    def close(self, code: int, reason: str) -> None:
        """Begin to close with a code and a reason."""
        reading = self._take_reading()
        if reading.parser.state is OPEN:
            reading.parser.send_close(code, reason)
        self._settle(reading)

    def shutdown(self) -> None:
        """End, because the server does; it waits for its connections, so they do not wait for anybody's answer."""
        self.close(SERVICE_RESTART, "")
        if self.behind_since is None:
            self._transport.close()
        else:
            self._transport.abort()

    # What the loop calls

    def data_received(self, data: bytes) -> None:
        """Understand bytes, wherever in a frame they end; of a client that is to go, only the first."""
        self._is_silent = False
        if self._reading is None and is_pong(data):
            self._receive_pong()
            return
        for start in range(0, len(data), MAX_BYTES_AT_ONCE):
            reading = self._take_reading()
            self._act(reading, reading.frames(data[start : start + MAX_BYTES_AT_ONCE]))
            if self._client is None:
                break

    def eof_received(self) -> None:
        """End: whoever closes its half without the closing handshake has gone."""
        reading = self._take_reading()
        reading.parser.receive_eof()
        self._settle(reading)

    def pause_writing(self) -> None:
        """Be behind. Whoever does not read is not read either, or the answers to its pings would heap up."""
        self.behind_since = time.monotonic()
        if self._client:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Be behind no longer."""
        self.behind_since, self._is_silent = None, False
        if self._client:
            self._transport.resume_reading()
            self._client.drained()

    def connection_lost(self, _: Exception | None) -> None:
        """Leave nothing behind; the file's number will soon be another's."""
        self._fd = NO_FILE
        self._lose_client()
        self._stop_timer()
        self._end_reading()
        self._peers.discard(self)

    # The protocol

    def _take_reading(self) -> Reading:
        if self._reading is None:
            self._reading = Reading.begin(self._limits.max_message_bytes)
        return self._reading

    def _act(self, reading: Reading, frames: Iterable[Frame]) -> None:
        try:
            for frame in frames:
                self._receive(reading, frame)
        except Refusal as refusal:
            self.close(refusal.code, refusal.reason)
        else:
            self._settle(reading)

    def _receive_pong(self) -> None:
        """Count the answer to a ping, all that most clients ever say; a parser for it would cost 80 times as much."""
        try:
            if self._client is not None:
                self._client.spend_frame()
        except Refusal as refusal:
            self.close(refusal.code, refusal.reason)

    def _receive(self, reading: Reading, frame: Frame) -> None:
        """Hand messages on; control frames are the parser's business. Raises `Refusal`."""
        if self._client is None:
            return
        self._client.spend_frame()
        if frame.opcode is Opcode.BINARY:
            self._client.received(None)
        elif (text := reading.text(frame)) is not None:
            self._client.received(text)

    def _settle(self, reading: Reading) -> None:
        """Send what the parser answers, and begin to end if it closes; or end reading between two messages."""
        writes = reading.parser.data_to_send()
        if self._client is not None and writes:
            self._transport.write(b"".join(writes))
        if reading.parser.state is not OPEN:
            self._begin_to_end()
            if SEND_EOF in writes:
                self._end_writing()
        elif reading.is_between_messages():
            self._end_reading()

    def _end_reading(self) -> None:
        if self._reading is not None:
            self._reading.end()
            self._reading = None

    # The end

    def _begin_to_end(self) -> None:
        if self._client is not None:
            self._lose_client()
            self._start_timer(CLOSE_LIMIT_S, self._transport.abort)
            self._transport.resume_reading()  # the other side's part of the closing handshake

    def _end_writing(self) -> None:
        """Close our half, so that the other side reads what was written before it closes its own; TLS has no halves."""
        if not self._transport.can_write_eof():
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()

    def _lose_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.lost()


def _set_options(connected: socket.socket) -> None:
    """Let the kernel hoard little and give up in time, where it can."""
    for name, value in (("TCP_NOTSENT_LOWAT", MAX_UNSENT_BYTES), ("TCP_USER_TIMEOUT", USER_TIMEOUT_MS)):
        if hasattr(socket, name):
            with suppress(OSError):  # not a TCP socket
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
