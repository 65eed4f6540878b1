"""The WebSockets: `/live` speaks HTML to htmx, `/messages` hands programs the raw notifications."""

from typing import Annotated

from fastapi import APIRouter, Depends, WebSocket
from starlette.requests import HTTPConnection

from webapp.connection import connect
from webapp.hub import Hub
from webapp.item_view import ItemView
from webapp.views import View

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
    view = ItemView.parse(query) if "item" in query else View.parse(query)[0]
    await socket.accept()
    await connect(socket, hub.open_page(view))


@router.websocket("/messages")
async def messages(socket: WebSocket, hub: HubOfApp) -> None:
    """Send each payload of `messages_channel` as it is."""
    await socket.accept()
    await connect(socket, hub.payloads.open_reader())
