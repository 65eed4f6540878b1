"""Who asks, as he says: by an API token, by the header of a trusted proxy, or by the cookie of a session."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.access.accounts import AccountError, add_account, checked_name, find_by_name
from webapp.access.crowd import is_proxy
from webapp.access.rates import Rate
from webapp.access.sessions import find_session
from webapp.access.tokens import find_token
from webapp.postgres.pool import Source
from webapp.roles import NOBODY, Principal, is_for_people

logger = logging.getLogger(__name__)

PROXY_USER = "proxy_user"  # in a scope's state
Identify = Callable[[Source], Awaitable[Principal | None]]


class ProxyUser:
    """ASGI middleware, the outermost, which sees who really connects: takes the name of a user from trusted proxies.

    From all others the header is not heard, and the log tells it.
    """

    def __init__(self, app: ASGIApp, header: str, proxies: tuple[str, ...]) -> None:
        self._app = app
        self._header = header.lower().encode()
        self._proxies = proxies
        self._told = Rate(1, 1 / 60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the name in the scope, empty if it cannot be one."""
        values = [value for name, value in scope.get("headers", ()) if name == self._header]
        if values and self._is_trusted(scope):
            scope.setdefault("state", {})[PROXY_USER] = _name(values)
        await self._app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        address = scope["client"][0] if scope.get("client") else ""
        is_trusted = is_proxy(address, self._proxies)
        if not is_trusted and not self._told.spend("untrusted"):
            logger.warning("%s sends TRUSTED_USER_HEADER and is not in TRUSTED_PROXIES: it is not heard", address)
        return is_trusted


def _name(values: list[bytes]) -> str:
    try:
        (value,) = values
        return checked_name(value.decode())
    except (ValueError, AccountError):
        logger.warning("TRUSTED_USER_HEADER comes twice or has what is no name: %.100r", values)
        return ""


def identify(connection: HTTPConnection, session_token: str, role_of_unknown: str | None) -> Identify | None:
    """Return how to find out who asks; None: nobody says who he is. What is said first counts, also if it is wrong."""
    authorizations = connection.headers.getlist("authorization")
    bearers = [value[7:].strip() for value in authorizations if value[:7].lower() == "bearer "]
    if bearers:
        is_good = len(authorizations) == 1 and not is_for_people(connection.scope)
        return partial(find_token, token=bearers[0]) if is_good else _nobody
    if (name := connection.scope.get("state", {}).get(PROXY_USER)) is not None:
        return partial(find_user, name=name, role_of_unknown=role_of_unknown) if name else _nobody
    return partial(find_session, token=session_token) if session_token else None


async def _nobody(_: Source) -> Principal | None:
    return NOBODY


async def find_user(source: Source, name: str, role_of_unknown: str | None) -> Principal | None:
    """Return the account of a name that a trusted proxy says; one that is unknown is made, if it gets a role."""
    account = await find_by_name(source, name)
    if account is None and role_of_unknown:
        try:
            account = await add_account(source, name, role_of_unknown)
        except AccountError:  # another request of his was quicker
            account = await find_by_name(source, name)
    return Principal(account.role, account.name, account.id) if account else None
