"""The WebSockets: `/live` speaks HTML to htmx, `/messages` hands programs the raw notifications."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, WebSocket, WebSocketDisconnect
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketState

from webapp.hub import Hub
from webapp.item_view import ItemView
from webapp.page import Page
from webapp.views import View

router = APIRouter()

MAX_MESSAGE_CHARACTERS = 8_000
MAX_MESSAGES = 60
MESSAGE_WINDOW_S = 60.0
RESUME_LIMIT_S = 15.0
WRITE_LIMIT_S = 30.0
GOODBYE_LIMIT_S = 1.0
MAX_WAITING_PAYLOADS = 10_000  # one transaction can send thousands at once; all readers share the text
POLICY_VIOLATION, TOO_BIG, TRY_AGAIN_LATER, UNSUPPORTED = 1008, 1009, 1013, 1003


def get_hub(connection: HTTPConnection) -> Hub:
    """Return the hub of this process."""
    hub: Hub = connection.app.state.hub
    return hub


HubOfApp = Annotated[Hub, Depends(get_hub)]


class Refusal(Exception):
    """A client that breaks the rules; its socket is closed with the code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@router.websocket("/live")
async def live(socket: WebSocket, hub: HubOfApp) -> None:
    """Follow a view: the page says which revision it shows, the server sends what it lacks."""
    query = socket.query_params
    view = ItemView.parse(query) if "item" in query else View.parse(query)[0]
    await socket.accept()
    with hub.open_page(view) as page:
        await _together(socket, _read_resumes(socket, page), _write_frames(socket, page.next_frame))


@router.websocket("/messages")
async def messages(socket: WebSocket, hub: HubOfApp) -> None:
    """Send each payload of `messages_channel` as it is."""
    await socket.accept()
    with hub.raw_payloads(MAX_WAITING_PAYLOADS) as queue:

        async def next_payload() -> str:
            payload = await queue.get()
            if payload is None:
                raise Refusal(TRY_AGAIN_LATER, "too slow a reader")
            return payload

        await _together(socket, _read_nothing(socket), _write_frames(socket, next_payload))


async def _together(socket: WebSocket, *sides: Awaitable[None]) -> None:
    """Read and write until one side ends; say why if the client broke a rule."""
    tasks = [asyncio.ensure_future(side) for side in sides]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except WebSocketDisconnect:
        pass
    except Refusal as refusal:
        await _say_goodbye(socket, refusal)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _say_goodbye(socket: WebSocket, refusal: Refusal) -> None:
    """Close, unless the client has left meanwhile; whoever reads nothing does not read a goodbye either."""
    if socket.application_state is WebSocketState.CONNECTED:
        with suppress(TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(GOODBYE_LIMIT_S):
                await socket.close(refusal.code, refusal.reason)


async def _write_frames(socket: WebSocket, next_frame: Callable[[], Awaitable[str]]) -> None:
    """Write one frame after the other; while a slow client takes its time, nothing is kept for it."""
    while True:
        frame = await next_frame()
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                await socket.send_text(frame)
        except TimeoutError as error:
            raise Refusal(TRY_AGAIN_LATER, "too slow a reader") from error


async def _read_resumes(socket: WebSocket, page: Page) -> None:
    """Read the page's resume messages; without a first one the socket is of no use."""
    budget = _Budget()
    try:
        message = await asyncio.wait_for(_read_message(socket, budget), RESUME_LIMIT_S)
    except TimeoutError as error:
        raise Refusal(POLICY_VIOLATION, "no resume message") from error
    while True:
        hold = bool(message.get("hold"))
        page.resume(_revision(message, "revision"), _revision(message, "summary"), hold=hold)
        message = await _read_message(socket, budget)


async def _read_message(socket: WebSocket, budget: "_Budget") -> dict[str, object]:
    try:
        message = json.loads(await _read_text(socket, budget))
    except (ValueError, RecursionError) as error:
        raise Refusal(POLICY_VIOLATION, "not JSON") from error
    if not isinstance(message, dict) or message.get("type") != "resume":
        raise Refusal(POLICY_VIOLATION, "not a resume message")
    return message


async def _read_text(socket: WebSocket, budget: "_Budget") -> str:
    event = await socket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event.get("code", 1005))
    budget.spend()
    text = event.get("text")
    if text is None:
        raise Refusal(UNSUPPORTED, "text frames only")
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise Refusal(TOO_BIG, "too long a message")
    return str(text)


async def _read_nothing(socket: WebSocket) -> None:
    """Read and forget, within limits, so that a close is noticed."""
    budget = _Budget()
    while True:
        await _read_text(socket, budget)


class _Budget:
    """How many messages a client may send in a while."""

    def __init__(self) -> None:
        self._left = MAX_MESSAGES
        self._window_ends_at = 0.0

    def spend(self) -> None:
        """Count one message."""
        now = asyncio.get_running_loop().time()
        if now >= self._window_ends_at:
            self._left, self._window_ends_at = MAX_MESSAGES, now + MESSAGE_WINDOW_S
        self._left -= 1
        if self._left < 0:
            raise Refusal(POLICY_VIOLATION, "too many messages")


def _revision(message: dict[str, object], name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""
