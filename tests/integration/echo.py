"""An application of echoes without a database, and a client that speaks in raw bytes."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from fastapi import FastAPI, WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, Protocol

from tests.server import LiveServer
from webapp.live.broadcast import Broadcast
from webapp.sockets.client import Client, Frames, Moment
from webapp.sockets.connection import connect

TEXT, CONT, BINARY = Opcode.TEXT, Opcode.CONT, Opcode.BINARY
PING, PONG, CLOSE = Opcode.PING, Opcode.PONG, Opcode.CLOSE
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Echo(Client):
    """Sends back what it hears."""

    def __init__(self, broadcast: Broadcast) -> None:
        super().__init__(broadcast)
        self.heard: list[str] = []
        self.is_lost = False

    def hear(self, text: str) -> None:
        self.heard.append(text)
        self._waker.wake((self,))

    def take(self, moment: Moment) -> Frames | None:
        heard, self.heard = self.heard, []
        return Frames.joined(map(Frames.of, heard)) if heard else None

    def lost(self) -> None:
        super().lost()
        self.is_lost = True


class App(FastAPI):
    """An endpoint of echoes; it waits at the gate before it lets a client have the socket."""

    def __init__(self) -> None:
        super().__init__(lifespan=_lifespan)
        self.broadcast = Broadcast()
        self.clients: list[Echo] = []
        self.gate = threading.Event()
        self.gate.set()
        self.ended = 0
        self.add_api_websocket_route("/", self.echo)

    async def echo(self, accepted: WebSocket) -> None:
        await accepted.accept()
        while not self.gate.is_set():  # noqa: ASYNC110 - a test's thread opens it
            await asyncio.sleep(0.001)
        client = Echo(self.broadcast)
        self.clients.append(client)
        await connect(accepted, client)
        self.ended += 1


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[None]:
    running = asyncio.create_task(app.broadcast.run())
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class EchoServer(LiveServer):
    """A live server of the application above."""

    app: App


@contextmanager
def serve_echo(**options: Any) -> Iterator[EchoServer]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = EchoServer(App(), listening, **options)
        server.start()
        try:
            yield server
        finally:
            server.stop()


class RawClient:
    """A socket after the handshake, bytes on the one side, frames on the other."""

    def __init__(self, server: EchoServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.socket.sendall(HANDSHAKE)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self.socket.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        self._reader = Protocol(CLIENT)
        self.frames: list[tuple[Opcode, bytes]] = []

    def read(self, until: Callable[[], object] = lambda: False) -> list[tuple[Opcode, bytes]]:
        """Return the frames that came: all of them up to the end, unless there are enough."""
        while not until() and CLOSE not in dict(self.frames) and (data := self.socket.recv(65_536)):
            self._reader.receive_data(data)
            self.frames += [(e.opcode, bytes(e.data)) for e in self._reader.events_received() if isinstance(e, Frame)]
        return self.frames


@contextmanager
def raw_client(server: EchoServer) -> Iterator[RawClient]:
    client = RawClient(server)
    with client.socket:
        yield client


@contextmanager
def closed_gate(server: EchoServer) -> Iterator[None]:
    """Keep clients waiting between handshake and hand-off."""
    server.app.gate.clear()
    try:
        yield
    finally:
        server.app.gate.set()


def unread(server: EchoServer) -> Any:
    """Return what the server holds of a socket that was not handed off."""
    (protocol,) = [each for each in server.connections if isinstance(each, WebSocketsSansIOProtocol)]
    return protocol.queue.qsize() or protocol.frames


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True, mask: bool = True, **reserved: bool) -> bytes:
    """Return the bytes of a frame, whether it is valid or not."""
    lax = Frame(opcode, data, fin, **reserved)
    lax.check = lambda: None  # type: ignore[method-assign]
    return lax.serialize(mask=mask)


def close(code: int, reason: str = "") -> bytes:
    return code.to_bytes(2, "big") + reason.encode()
