"""How a client gets its connection: from a server that hands sockets off, or else by plain ASGI, on any server."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from fastapi import WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from webapp.sockets.client import Client, Frames, Refusal

HAND_OFF = "websocket.handoff"  # the ASGI extension
GOODBYE_LIMIT_S = 1.0


async def connect(socket: WebSocket, client: Client) -> None:
    """Let an accepted socket be the client's, until it ends."""
    extension = (socket.scope.get("extensions") or {}).get(HAND_OFF)
    if not (extension and extension["hand_off"](client)):
        await _PlainConnection(socket, client).run()


class _PlainConnection:
    """Reads and writes by ASGI's means. It is behind while a message is being sent: nothing waits in it."""

    def __init__(self, socket: WebSocket, client: Client) -> None:
        self.behind_since: float | None = None
        self._socket = socket
        self._client = client
        self._frames = Frames((), b"")
        self._to_write = asyncio.Event()
        self._refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def write(self, frames: Frames) -> None:
        """Begin to send."""
        self._frames = frames
        self.behind_since = time.monotonic()
        self._to_write.set()

    def close(self, code: int, reason: str) -> None:
        """Let `run` end."""
        if not self._refused.done():
            self._refused.set_exception(Refusal(code, reason))

    async def run(self) -> None:
        """Read and write until one side ends; say why if it was us."""
        self._client.connection = self
        sides = [asyncio.ensure_future(each) for each in (self._read(), self._write(), self._refused)]
        try:
            await self._first_end(sides)
        except WebSocketDisconnect:
            pass
        except Refusal as refusal:
            await self._say_goodbye(refusal)
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)

    async def _first_end(self, sides: "Sequence[asyncio.Future[None]]") -> None:
        try:
            done, _ = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._client.lost()
        for side in done:
            side.result()

    async def _read(self) -> None:
        while True:
            event = await self._socket.receive()
            if event["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(event.get("code", 1005))
            self._client.spend_frame()
            self._client.received(event.get("text"))

    async def _write(self) -> None:
        while True:
            await self._to_write.wait()
            self._to_write.clear()
            for text in self._frames.texts:
                await self._socket.send_text(text)
            self.behind_since = None
            self._client.drained()

    async def _say_goodbye(self, refusal: Refusal) -> None:
        """Close, unless the client has left meanwhile; whoever reads nothing does not read a goodbye either."""
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(TimeoutError, WebSocketDisconnect):
                async with asyncio.timeout(GOODBYE_LIMIT_S):
                    await self._socket.close(refusal.code, refusal.reason)
