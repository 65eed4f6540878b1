"""uvicorn's WebSocket as we need it, on a wire of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from tests.integration.echo import HANDSHAKE
from tests.unit.wire import Wire
from webapp.sockets.handoff import HandOffProtocol


async def _never_answers(_: object, receive: Callable[[], Awaitable[dict[str, Any]]], __: object) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def test_nonsense_before_the_handshake_is_answered_ends_the_connection() -> None:
    state = ServerState()
    wire = Wire()
    protocol = HandOffProtocol(uvicorn.Config(_never_answers, lifespan="off"), state, {})
    protocol.connection_made(wire)
    protocol.data_received(HANDSHAKE)
    protocol.data_received(b"\x83\x80\0\0\0\0")
    assert (wire.events, bytes(wire.written)) == (["close"], b"")
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)
