"""Who may talk to us, how much at once, and what a browser may do with our pages."""

from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.access.origins import authority, is_of_another_site, only
from webapp.addresses import path_of
from webapp.settings import is_loopback

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
MAX_BODY_BYTES = 256 * 1024
MAX_UPLOAD_BYTES = 32 * 1024 * 1024
MAX_HEADERS = 100
MAX_HEADER_BYTES = 48 * 1024  # the address too; browsers and proxies make do with far less
UPLOADS = ("/import",)  # the addresses that take files; they read them piece by piece

# The nonce is the same for ever, for pushed HTML is shared by all pages: it is for htmx to look at, and lets no script
# in. What protects is that no script but our files may run, and Trusted Types, by which only htmx may write HTML.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'nonce-gate'",
        "script-src-elem 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types htmx",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it a plain form posts `Origin: null`, and the check below would refuse it.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PROBES = ("/healthz", "/readyz")  # a load balancer asks them by address, and they tell no secret

Answer = Callable[[Request, HTTPException], Awaitable[Response]]


class Security:
    """ASGI middleware: checks Host and Origin, bounds requests, adds the security headers.

    `answer` makes the page of a refusal.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: tuple[str, ...], answer: Answer) -> None:
        self._app = app
        self._allowed_hosts = frozenset(allowed_hosts)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is not for us, or hand on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except HTTPException as refusal:
            await refuse(refusal, self._answer, scope, receive, _with_headers(send))
        else:
            await self._app(scope, _bounded(receive, _max_bytes(scope)), _with_headers(send))

    def _check(self, scope: Scope) -> None:
        """Raise HTTPException for a request that is not for us."""
        if _is_heavy(scope):
            text = f"The limit is {MAX_HEADERS} headers and {MAX_HEADER_BYTES} bytes."
            raise HTTPException(431, text)
        headers = Headers(scope=scope)
        host = authority(only(headers, "host"))
        if path_of(scope) not in PROBES and not (host and self._is_served(host[0])):
            text = "This host name is not served here. Whoever runs this server can add it to ALLOWED_HOSTS."
            raise HTTPException(400, text)
        if _writes(scope) and is_of_another_site(headers, scope):
            raise HTTPException(403, "Requests from other sites are refused.")
        if _declared_length(headers) > _max_bytes(scope):
            raise _too_large(_max_bytes(scope))

    def _is_served(self, host: str) -> bool:
        return is_loopback(host) or not self._allowed_hosts.isdisjoint((host, "*"))


def _writes(scope: Scope) -> bool:
    """Whether it may change something, or goes on as a socket: to lead here by a link is every page's right."""
    return scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS


async def refuse(refusal: HTTPException, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a refusal with its page; a WebSocket without one, as nobody would see it."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.detail})
    else:
        response = await answer(Request(scope), refusal)
        await response(scope, receive, send)


def _is_heavy(scope: Scope) -> bool:
    headers = scope["headers"]
    size = len(scope["path"]) + len(scope["query_string"]) + sum(len(name) + len(value) for name, value in headers)
    return len(headers) > MAX_HEADERS or size > MAX_HEADER_BYTES


def _declared_length(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _max_bytes(scope: Scope) -> int:
    return MAX_UPLOAD_BYTES if path_of(scope) in UPLOADS else MAX_BODY_BYTES


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"The request is too large: the limit is {max_bytes} bytes.")


def _bounded(receive: Receive, max_bytes: int) -> Receive:
    """Also a body that does not say its length is bounded."""
    received = 0

    async def bounded_receive() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b"")) if message["type"] == "http.request" else 0
        if received > max_bytes:
            raise _too_large(max_bytes)
        return message

    return bounded_receive


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return send_with_headers
