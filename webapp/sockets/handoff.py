"""uvicorn's WebSocket, and its way out of it: the one module that touches what uvicorn keeps private.

An endpoint that has accepted its socket may hand it off by the ASGI extension `HAND_OFF` and return. All that uvicorn
holds per socket (a task, a queue, two protocol objects, the scope) is then freed; a `Peer` goes on with the transport.
To middleware it looks as if the socket had ended.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode

from webapp.sockets.client import Client
from webapp.sockets.connection import HAND_OFF
from webapp.sockets.peer import Limits, Peer

_UNREADABLE = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class HandOffProtocol(WebSocketsSansIOProtocol):
    """Offers `scope["extensions"][HAND_OFF]["hand_off"](client)`, which returns whether the client has the socket."""

    def data_received(self, data: bytes) -> None:
        """Refuse a handshake that cannot be read, such as one with too long a line: uvicorn would wait for ever."""
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            self.transport.write(_UNREADABLE)
            self.transport.close()

    def handle_parser_exception(self) -> None:
        """End at once where the handshake is not answered yet: there is no goodbye, which uvicorn expects."""
        if self.conn.close_sent is None:
            self.transport.close()
        else:
            super().handle_parser_exception()

    def handle_connect(self, event: Any) -> None:
        """Offer the hand-off, unless messages are compressed: a peer does not know how."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent and not self.conn.extensions:
            self.scope["extensions"][HAND_OFF] = {"hand_off": self._hand_off}

    def _hand_off(self, client: Client) -> bool:
        """Let a client have the socket; not if it is closing already, which the endpoint learns as usual."""
        if not self.handshake_complete or self.close_sent or not self.writable.is_set() or self.transport.is_closing():
            return False
        self.stop_keepalive()
        self.connections.discard(self)
        limits = Limits(self.config.ws_max_size, self.config.ws_ping_interval)
        Peer(self.transport, client, self.connections, limits).take_over(self.conn, list(self._frames_received()))
        self._let_go()
        return True

    def _frames_received(self) -> Iterator[Frame]:
        """Yield what has come since the handshake and nobody has received; at last a message that is not complete."""
        while not self.queue.empty():
            event: Any = self.queue.get_nowait()
            if event.get("text") is not None:
                yield Frame(Opcode.TEXT, event["text"].encode())
            elif event.get("bytes") is not None:
                yield Frame(Opcode.BINARY, event["bytes"])
        if self.frames:
            opcode = Opcode.TEXT if self.curr_msg_data_type == "text" else Opcode.BINARY
            yield Frame(opcode, b"".join(self.frames), fin=False)

    def _let_go(self) -> None:
        """Be of no consequence to the socket, and free what refers to this object in circles."""
        self.transport = _NoTransport()
        self.disconnected = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.scope["extensions"].pop(HAND_OFF)


class _NoTransport(asyncio.Transport):
    """What uvicorn closes when the endpoint has returned."""

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass
