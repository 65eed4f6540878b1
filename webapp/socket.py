"""The WebSockets: `/live` speaks HTML to htmx, `/messages` hands programs the raw notifications."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, WebSocket
from starlette.requests import HTTPConnection

from webapp.access.crowd import Crowd
from webapp.access.doorkeeper import Doorkeeper, closing
from webapp.live.hub import Hub
from webapp.live.item_view import ItemView
from webapp.operations.status import StatusView
from webapp.roles import PRINCIPAL
from webapp.sockets.client import TRY_AGAIN_LATER, Client, Frames
from webapp.sockets.connection import connect
from webapp.stock.views import View

router = APIRouter()


def get_hub(connection: HTTPConnection) -> Hub:
    """Return the hub of this process."""
    hub: Hub = connection.app.state.hub
    return hub


HubOfApp = Annotated[Hub, Depends(get_hub)]


@router.websocket("/live")
async def live(socket: WebSocket, hub: HubOfApp) -> None:
    """Follow a view: the page says which revision it shows, the server sends what it lacks."""
    query = socket.query_params
    goodbye = socket.app.state.pieces.signed_out()
    await _follow(socket, hub, partial(hub.open_page, _view(query)), goodbye)


@router.websocket("/messages")
async def messages(socket: WebSocket, hub: HubOfApp) -> None:
    """Send each payload of `messages_channel` as it is."""
    await _follow(socket, hub, hub.payloads.open_reader)


def _view(query: Mapping[str, str]) -> View | ItemView | StatusView:
    if "status" in query:
        return StatusView()
    return ItemView.parse(query) if "item" in query else View.parse(query)[0]


async def _follow(
    socket: WebSocket, hub: Hub, open_client: Callable[[], Client], goodbye: Frames | None = None
) -> None:
    """Let the socket be a client's while it may, unless there are too many of its address."""
    await socket.accept()
    crowd: Crowd = socket.app.state.crowd
    party = crowd.enter(socket.client.host if socket.client else None)
    if party is None:
        await socket.close(TRY_AGAIN_LATER, "too many connections from your address")
        return
    client = open_client()
    doorkeeper: Doorkeeper = socket.app.state.doorkeeper
    visit = doorkeeper.enter(PRINCIPAL.get(), closing(client, goodbye))
    client.presences = (party, visit, hub.listener.enter())
    await connect(socket, client)
