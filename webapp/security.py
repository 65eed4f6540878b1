"""Who may talk to us, how much at once, and what a browser may do with our pages."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.settings import LOOPBACK_HOSTS

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
MAX_BODY_BYTES = 256 * 1024

# The nonce is the same for ever and gates nothing: pushed HTML is shared by all pages. What protects is that no
# script but ours may load, and Trusted Types, through which only htmx may write HTML (and no script in it runs).
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'nonce-gate'",
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


class Security:
    """ASGI middleware: checks Host and Origin, bounds request bodies, adds the security headers."""

    def __init__(self, app: ASGIApp, allowed_hosts: tuple[str, ...]) -> None:
        self._app = app
        self._allowed_hosts = frozenset((*LOOPBACK_HOSTS, *allowed_hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse what is not for us, or hand on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif refusal := self._refusal(scope):
            await refusal(scope, receive, _with_headers(send))
        else:
            await self._app(scope, _bounded(receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _host_name(host) not in self._allowed_hosts:
            text = "This host name is not served here. Whoever runs this server can add it to ALLOWED_HOSTS.\n"
            return PlainTextResponse(text, 400)
        checked = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if checked and not _same_origin(headers, host):
            return PlainTextResponse("Requests from other sites are refused.\n", 403)
        if _declared_length(headers) > MAX_BODY_BYTES:
            return PlainTextResponse(f"The request is too large: {MAX_BODY_BYTES} bytes are the most.\n", 413)
        return None


def _host_name(host: str) -> str:
    """Return the name without the port, IPv6 without brackets, in small letters."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _same_origin(headers: Headers, host: str) -> bool:
    """Programs send no Origin; a browser's must be ours. The scheme may differ: TLS can end in front of us."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()


def _declared_length(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else 0


def _bounded(receive: Receive) -> Receive:
    """Also a body that does not say its length is bounded."""
    received = 0

    async def bounded_receive() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b"")) if message["type"] == "http.request" else 0
        if received > MAX_BODY_BYTES:
            raise HTTPException(413, f"The request is too large: {MAX_BODY_BYTES} bytes are the most.")
        return message

    return bounded_receive


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return send_with_headers
