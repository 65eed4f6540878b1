"""On whose behalf a request is, and whether that is enough for what it asks."""

import re
from urllib.parse import urlencode

import psycopg
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.access.delivery import deliver
from webapp.access.doorkeeper import Doorkeeper
from webapp.access.identification import identify
from webapp.access.security import SAFE_METHODS, refuse
from webapp.addresses import path_of, redirect
from webapp.errors import Errors, wants_fragment
from webapp.problems import is_for_programs
from webapp.roles import NOBODY, PRINCIPAL, Principal, Role, needed_role
from webapp.settings import Settings, is_loopback

SIGN_IN = "/sign-in"
FORWARDED = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)
_LOCAL = re.compile(r"/(?![/\\])[\x21-\x7e]*")
_PORT = re.compile("(?<=:)[0-9]+$")


class Authentication:
    """ASGI middleware: tells in the scope and in `PRINCIPAL` who asks, and refuses who may not.

    Where there are no accounts everybody may who reaches a server that is open.
    """

    def __init__(self, app: ASGIApp, errors: Errors, settings: Settings) -> None:
        self._app = app
        self._errors = errors
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        needed = needed_role(scope)
        try:
            principal = await self._admit(scope) if needed else NOBODY
        except (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction) as error:
            await self._answer_database_down(error, scope, receive, send)
            return
        if principal.role < needed:
            await self._refuse(principal, needed, scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        PRINCIPAL.set(principal)
        if scope["type"] == "http" and needed:
            await deliver(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> Principal:
        doorkeeper: Doorkeeper = scope["app"].state.doorkeeper
        connection = HTTPConnection(scope)
        said = identify(connection, token_of(connection), self._settings.trusted_user_role)
        return await doorkeeper.admit(said, is_open=self._is_open(scope))

    def _is_open(self, scope: Scope) -> bool:
        """Without being told, only for who is on this machine, as far as the request shows."""
        return self._settings.is_open and (self._settings.open_to_all or is_from_here(scope))

    async def _refuse(self, principal: Principal, needed: Role, scope: Scope, receive: Receive, send: Send) -> None:
        """People who have not signed in are led there, where that loses nothing."""
        if principal.role:
            who = f"{principal.name} is {principal.role.label}" if principal.name else "there are no accounts"
            text = f"This is for the role {needed.label}, and {who}."
            await refuse(Forbidden(403, text), self._errors.answer_http_error, scope, receive, send)
        elif scope["type"] == "http" and leads_to_sign_in(request := Request(scope)):
            await _to_sign_in(request)(scope, receive, send)
        else:
            text = "You are not signed in, or not any more. Sign in in another tab, and try again: nothing is lost."
            refusal = HTTPException(401, text, {"WWW-Authenticate": "Bearer"})
            await refuse(refusal, self._errors.answer_http_error, scope, receive, send)

    async def _answer_database_down(self, error: psycopg.Error, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await refuse(
                HTTPException(503, "the database is away"), self._errors.answer_http_error, scope, receive, send
            )
        else:
            response = await self._errors.answer_database_down(Request(scope), error)
            await response(scope, receive, send)


def is_from_here(scope: Scope) -> bool:
    """Whether a request came to a loopback address, and no proxy says that it passes it on for somebody.

    A uvicorn started by hand may listen elsewhere than HOST says: the server's end of the connection tells.
    """
    server = scope.get("server")
    is_local = server is None or is_loopback(server[0])
    return is_local and FORWARDED.isdisjoint(name for name, _ in scope["headers"])


class Forbidden(HTTPException):
    """The role is not enough."""

    title = "Not for your role"


def leads_to_sign_in(request: Request) -> bool:
    """Whether it is a person who asks for a page."""
    return request.method in SAFE_METHODS and not is_for_programs(request) and not wants_fragment(request)


def _to_sign_in(request: Request) -> Response:
    place = path_of(request.scope) + (f"?{request.url.query}" if request.url.query else "")
    query = f"?{urlencode({'next': place})}" if place != "/" else ""
    response = redirect(request, f"{SIGN_IN}{query}")
    response.headers["Cache-Control"] = "no-store"
    return response


def place_after(text: str) -> str:
    """Return the path of ours that somebody asked for before signing in; nothing else may be led to."""
    return text if _LOCAL.fullmatch(text) else "/"


def token_of(connection: HTTPConnection) -> str:
    """Return the token of the browser's session, empty if it has none."""
    return connection.cookies.get(cookie_name(connection), "")


def give_token(request: Request, response: Response, token: str, lasts_s: int) -> None:
    """Let the browser keep a token; an empty one takes it away."""
    name = cookie_name(request)
    response.set_cookie(
        name, token, max_age=lasts_s if token else 0, path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )


def cookie_name(connection: HTTPConnection) -> str:
    """With TLS no other host and no page without TLS can set it.

    A browser has one cookie of a name for all ports and paths of a host: servers there must not take each other's.
    """
    places = ["session", *_PORT.findall(connection.headers.get("host", "")), connection.scope.get("root_path", "")]
    name = "-".join(re.findall("[A-Za-z0-9]+", "/".join(places)))
    return f"__Host-{name}" if is_secure(connection) else name


def is_secure(connection: HTTPConnection) -> bool:
    """Whether the browser speaks TLS, as far as the server or its trusted proxy says."""
    scheme: str = connection.scope.get("scheme", "http")
    return scheme in ("https", "wss")
