"""How much one address, and one account, may ask of us."""

import math
from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.access.crowd import neighbourhood
from webapp.access.rates import Rate
from webapp.access.security import PROBES, SAFE_METHODS, UPLOADS, Answer, refuse
from webapp.addresses import path_of
from webapp.roles import PRINCIPAL

BURST_S = 20
WRITE_COST, UPLOAD_COST = 4, 400
Who = Callable[[Scope], str | None]


class Throttle:
    """ASGI middleware: answers 429 to those who ask too often. Writes and uploads count for more than reads.

    `who` says who asks; None is not counted.
    """

    def __init__(self, app: ASGIApp, answer: Answer, per_second: float, who: Who) -> None:
        self._app = app
        self._answer = answer
        self._who = who
        self._rate = Rate(per_second * BURST_S, per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, and hand on or refuse."""
        wait_s = self._spend(scope) if scope["type"] in ("http", "websocket") else 0
        if wait_s:
            text = f"Too many requests from you or your address. Try again in {math.ceil(wait_s)} s."
            refusal = HTTPException(429, text, {"Retry-After": str(math.ceil(wait_s))})
            await refuse(refusal, self._answer, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _spend(self, scope: Scope) -> float:
        who = self._who(scope)
        return self._rate.spend(who, _cost(scope)) if who and path_of(scope) not in PROBES else 0


def by_address(proxies: tuple[str, ...]) -> Who:
    """Count by address; not loopback and proxies, of whom nobody knows for whom they ask."""

    def who(scope: Scope) -> str | None:
        client = scope.get("client")
        return neighbourhood(client[0] if client else None, proxies)

    return who


def by_account(scope: Scope) -> str | None:  # noqa: ARG001 - it was found out before
    """Count by account, wherever its people and programs are."""
    account_id = PRINCIPAL.get().account_id
    return None if account_id is None else str(account_id)


def _cost(scope: Scope) -> int:
    if scope["type"] == "websocket" or scope["method"] in SAFE_METHODS:
        return 1
    return UPLOAD_COST if path_of(scope) in UPLOADS else WRITE_COST
