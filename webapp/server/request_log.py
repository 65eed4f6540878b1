"""A line for each request, and one for each end of a WebSocket; with the id that its answer bears as well."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from functools import partial

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.logs import REQUEST_ID
from webapp.sockets.client import Client
from webapp.sockets.connection import HAND_OFF

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
LONGEST_PATH = 200
GONE = 499  # as nginx has it: who asked did not wait
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """ASGI middleware. It tells the path and not the query, which is what people search for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, and tell how it ended."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        REQUEST_ID.set(exchange.id)  # never reset: the server logs what was raised in the same task
        try:
            await self._app(scope, receive, exchange.send)
        except BaseException:
            exchange.status = exchange.status or 500
            raise
        finally:
            exchange.end()


class _Exchange:
    """What is known of a request while it is answered."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.id = _request_id(scope)
        self.status: int | None = None
        self._scope = scope
        self._send = send
        self._bytes = 0
        self._began_at = time.perf_counter()
        self._is_open = self._is_handed_off = False

    async def send(self, message: Message) -> None:
        """Note what is answered."""
        match message["type"]:
            case "http.response.start" | "websocket.http.response.start":
                MutableHeaders(scope=message)[HEADER] = self.id
                self.status = message["status"]
            case "http.response.body":
                self._bytes += len(message.get("body", b""))
            case "websocket.accept":
                self._open()
            case "websocket.close":
                self.status = self.status or 403
        await self._send(message)

    def end(self) -> None:
        """Tell it, unless a socket goes on without us."""
        if not self._is_handed_off:
            self._tell("closed" if self._is_open else "answered", bytes=self._bytes)

    def _open(self) -> None:
        self.status, self._is_open = 101, True
        self._tell("opened")
        extension = (self._scope.get("extensions") or {}).get(HAND_OFF)
        if extension and logger.isEnabledFor(logging.INFO):
            extension["hand_off"] = partial(self._hand_off, extension["hand_off"])

    def _hand_off(self, hand_off: Callable[[Client], bool], client: Client) -> bool:
        """A socket that is handed off has no request any more, only a client that learns of its end."""
        client.on_lost = partial(_tell, "closed", _facts(self._scope), self._began_at, status=101)
        self._is_handed_off = hand_off(client)
        if not self._is_handed_off:
            client.on_lost = None  # our own end tells it
        return self._is_handed_off

    def _tell(self, what: str, **more: object) -> None:
        if logger.isEnabledFor(logging.INFO):
            _tell(what, _facts(self._scope), self._began_at, status=self.status or GONE, **more)


def _tell(what: str, facts: dict[str, object], began_at: float, **more: object) -> None:
    elapsed = {"ms": round((time.perf_counter() - began_at) * 1000, 1)}
    logger.info(what, extra={"facts": facts | more | elapsed})


def _facts(scope: Scope) -> dict[str, object]:
    principal = scope.get("state", {}).get("principal")
    return {
        "request": REQUEST_ID.get(),
        "method": scope.get("method", "WEBSOCKET"),
        "path": scope.get("raw_path", b"").decode("ascii", "replace")[:LONGEST_PATH],
        "client": (scope.get("client") or ("unknown",))[0],
        **({"principal": principal.name} if principal and principal.name else {}),
    }


def _request_id(scope: Scope) -> str:
    """Return the id that a proxy has given, or a new one."""
    given = Headers(scope=scope).get(HEADER, "")
    return given if _WELL_FORMED.fullmatch(given) else secrets.token_hex(8)
