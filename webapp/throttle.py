"""How much one address may ask of us."""

import math

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.addresses import path_of
from webapp.crowd import neighbourhood
from webapp.rates import Rate
from webapp.security import PROBES, SAFE_METHODS, UPLOADS, Answer, refuse

BURST_S = 20
WRITE_COST, UPLOAD_COST = 4, 400


class Throttle:
    """ASGI middleware: answers 429 to an address that asks too often. Writes and uploads count for more than reads.

    Not for loopback and proxies, of whom nobody knows for whom they ask.
    """

    def __init__(self, app: ASGIApp, answer: Answer, per_second: float, proxies: tuple[str, ...] = ()) -> None:
        self._app = app
        self._answer = answer
        self._proxies = proxies
        self._rate = Rate(per_second * BURST_S, per_second)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, and hand on or refuse."""
        wait_s = self._spend(scope) if scope["type"] in ("http", "websocket") else 0
        if wait_s:
            text = f"Your address asks too often. Try again in {math.ceil(wait_s)} s."
            refusal = HTTPException(429, text, {"Retry-After": str(math.ceil(wait_s))})
            await refuse(refusal, self._answer, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _spend(self, scope: Scope) -> float:
        client = scope.get("client")
        who = neighbourhood(client[0] if client else None, self._proxies)
        return self._rate.spend(who, _cost(scope)) if who and path_of(scope) not in PROBES else 0


def _cost(scope: Scope) -> int:
    if scope["type"] == "websocket" or scope["method"] in SAFE_METHODS:
        return 1
    return UPLOAD_COST if path_of(scope) in UPLOADS else WRITE_COST
