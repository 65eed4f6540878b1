"""Answers that take a while, such as exports: they end when whom they are for may no longer have them."""

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.access.doorkeeper import Doorkeeper, Visit
from webapp.addresses import path_of
from webapp.roles import PRINCIPAL, Role

logger = logging.getLogger(__name__)

CUT_OFF = "live_inventory.cut_off"  # an ASGI extension of our server; in others the application just stops


class SignedOut(Exception):
    """There is nobody any more whom the rest of an answer is for."""


async def deliver(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the app answer. What is cut off is never completed, so that no client takes it for the whole."""
    delivery = Delivery(scope["app"].state.doorkeeper, send)
    try:
        await app(scope, receive, delivery.send)
    except SignedOut:
        logger.warning("the answer to %s was cut off: who asked is signed out", path_of(scope))
        await _cut_off(scope, receive)
    finally:
        delivery.end()


async def _cut_off(scope: Scope, receive: Receive) -> None:
    if extension := scope.get("extensions", {}).get(CUT_OFF):
        extension["cut_off"]()
        while (await receive())["type"] != "http.disconnect":
            pass


class Delivery:
    """Sends an answer; one that comes in several parts is looked after by the doorkeeper."""

    def __init__(self, doorkeeper: Doorkeeper, send: Send) -> None:
        self._doorkeeper = doorkeeper
        self._send = send
        self._visit: Visit | None = None
        self._is_over = False

    async def send(self, message: Message) -> None:
        """Send a part. Raises `SignedOut`."""
        if self._is_over:
            raise SignedOut
        if self._visit is None and message.get("more_body"):
            self._visit = self._doorkeeper.enter(PRINCIPAL.get(), self._dismiss)
        await self._send(message)

    def end(self) -> None:
        """Take note that the answer is sent, or never will be."""
        if self._visit is not None:
            self._visit.leave()

    def _dismiss(self, role: Role | None) -> None:
        self._is_over = role is None  # with any other role one may read on
