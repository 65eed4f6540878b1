"""uvicorn's HTTP, with bounds that it lacks: how long a client may take, and how much it may send for nothing."""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from webapp.access.crowd import Crowd, Party
from webapp.access.delivery import CUT_OFF
from webapp.access.rates import Rate

logger = logging.getLogger(__name__)

PATIENCE_S = 20.0
MIN_BYTES_PER_S = 500
LOOK_S = 5.0
MAX_HEAD_BYTES = 64 * 1024


class Intake:
    """Makes the protocol of each connection; uvicorn calls it as it would call a class.

    It has room for `most` connections, WebSockets included, and for as many of an address as the crowd lets in.
    """

    def __init__(self, most: int, crowd: Crowd) -> None:
        self.most = most
        self.crowd = crowd
        self._told = Rate(1, 1 / 60)

    def tell(self, refused: str, setting: str) -> None:
        """Tell the operator, once a minute."""
        if not self._told.spend(setting):
            logger.warning("refused a connection: %s %s says how many there may be.", refused, setting)

    def __call__(self, **uvicorns: Any) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return BoundedHttp(self, **uvicorns)


class BoundedHttp(HttpToolsProtocol):
    """Gives a client `PATIENCE_S` to send a request and to take an answer, and more for what moves at a minimum rate.

    What is neither body nor makes a request complete is bounded too: heads, trailers and extensions of chunks.
    """

    def __init__(self, intake: Intake, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._intake = intake
        self._party: Party | None = None
        self._idle_bytes = 0
        self._gives_up_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let a client in, if there is room."""
        super().connection_made(transport)
        self._party = self._intake.crowd.enter(self.client[0] if self.client else None)
        if self._party is None:
            self._turn_away("There are too many connections from your address.", "MAX_CONNECTIONS_PER_ADDRESS")
        elif len(self.connections) > self._intake.most:
            self._turn_away("There are too many connections.", "MAX_CONNECTIONS")
        self._renew_patience()
        self._timer = self.loop.call_later(LOOK_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        super().connection_lost(exc)
        self._leave()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to others."""
        super().handle_websocket_upgrade()
        self._leave()

    def data_received(self, data: bytes) -> None:
        """Read on, as long as it leads to something."""
        if self.transport.is_closing():
            return
        self._idle_bytes += len(data)
        super().data_received(data)
        if self._idle_bytes > MAX_HEAD_BYTES:
            self._refuse("431 Request Header Fields Too Large", f"The limit is {MAX_HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """Let an answer be cut off: where the application only stops, uvicorn logs a defect of it."""
        super().on_message_begin()
        self.scope["extensions"] = {CUT_OFF: {"cut_off": self.transport.abort}}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Ignore trailers, which uvicorn would put among the headers: no proxy has looked at them."""
        if "method" not in self.scope:  # which is known when the head is complete
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Give more time for more body, but not for one that is not wanted any more."""
        super().on_body(body)
        self._idle_bytes = 0
        if self.cycle and not self.cycle.response_complete:
            latest = self.loop.time() + PATIENCE_S
            self._gives_up_at = min(self._gives_up_at + len(body) / MIN_BYTES_PER_S, latest)

    def on_message_complete(self) -> None:
        """Count anew for the next request."""
        super().on_message_complete()
        self._idle_bytes = 0

    def on_response_complete(self) -> None:
        """Give time for the next request, and for what of the answer is not yet taken."""
        super().on_response_complete()
        self._renew_patience()

    def pause_writing(self) -> None:
        """Give time to take what has been written."""
        super().pause_writing()
        self._renew_patience()

    def _look(self) -> None:
        if not self._is_awaited():
            self._renew_patience()
        elif self.loop.time() > self._gives_up_at:
            self._give_up()
        self._timer = self.loop.call_later(LOOK_S, self._look)

    def _is_awaited(self) -> bool:
        """Whether it is the client's turn: to send a request or more of one, or to take what is written."""
        is_to_send = self.cycle is None or self.cycle.more_body or self.cycle.response_complete
        return (is_to_send and not self.flow.read_paused) or self.flow.write_paused or self.transport.is_closing()

    def _renew_patience(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._gives_up_at = self.loop.time() + PATIENCE_S + unsent / MIN_BYTES_PER_S

    def _give_up(self) -> None:
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if self.transport.is_closing() or (is_answering and self.cycle.response_started):
            self.transport.abort()
        elif is_answering or self._idle_bytes:
            self._refuse("408 Request Timeout", "The request took too long.")
        else:
            self.transport.close()

    def _turn_away(self, why: str, setting: str) -> None:
        self._refuse("503 Service Unavailable", why)
        self._intake.tell(why, setting)

    def _refuse(self, status: str, text: str) -> None:
        """Answer by hand: the request is not complete, or not wanted."""
        retry = "retry-after: 5\r\n" if status.startswith("503") else ""
        head = f"HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {len(text)}\r\n{retry}"
        self.transport.write(f"{head}connection: close\r\n\r\n{text}".encode())
        self.transport.close()

    def _leave(self) -> None:
        self._idle_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
        if self._party is not None:
            self._party.leave()
            self._party = None
