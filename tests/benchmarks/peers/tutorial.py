"""The broadcast of the tutorials: FastAPI's connection manager, a send to one socket after the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.benchmarks.peers.notifications import notifications

sockets: list[WebSocket] = []


async def broadcast() -> None:
    """Send each payload to everybody."""
    async for payload in notifications():
        for socket in sockets:
            await socket.send_text(payload)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Broadcast while the application runs."""
    task = asyncio.create_task(broadcast())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)


@app.websocket("/")
async def follow(socket: WebSocket) -> None:
    """Keep a socket until it leaves."""
    await socket.accept()
    sockets.append(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        sockets.remove(socket)
