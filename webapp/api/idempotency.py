"""A POST that comes twice is done once: the answer is kept with the change, in one transaction."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Annotated

import psycopg
from fastapi import Header, Request, Response
from psycopg.types.json import Jsonb

from webapp.addresses import path_of
from webapp.errors import problem_of
from webapp.postgres.pool import Connection, Source
from webapp.postgres.statements import Row, execute, fetch_one, writing_transaction
from webapp.problems import Problem, of_kind
from webapp.responses import PoolOfApp
from webapp.roles import PRINCIPAL
from webapp.stock.items import Busy, StockError

KEPT_HOURS = 24
FORGOTTEN_AT_ONCE = 20  # for each that is stored, so that the table shrinks again after a busy day
HEADERS_KEPT = ("content-type", "location", "etag", "cache-control", "retry-after")

Act = Callable[[Source], Awaitable[Response]]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own; the same again within a day gives the same answer and changes nothing.",
    ),
]


class Once:
    """Answers a POST; one with the same `Idempotency-Key` gets the same answer, and nothing happens again."""

    def __init__(self, request: Request, pool: PoolOfApp, idempotency_key: IdempotencyKey = None) -> None:
        self._request = request
        self._pool = pool
        self._key = idempotency_key and _of_principal(idempotency_key)

    async def __call__(self, act: Act) -> Response:
        """Act on the pool or, where the answer is to be kept, within a transaction."""
        if self._key is None:
            return await act(self._pool)
        async with writing_transaction(self._pool) as connection:
            await self._wait_for_others(connection)
            fingerprint = await _fingerprint(self._request)
            if stored := await fetch_one(connection, "stored_answer", key=self._key, hours=KEPT_HOURS):
                return _replay(stored, fingerprint)
            response = await _final_answer(act, connection, self._request)
            await self._store(connection, fingerprint, response)
            return response

    async def _wait_for_others(self, connection: Connection) -> None:
        try:
            await execute(connection, "lock_key", key=self._key)
        except psycopg.errors.LockNotAvailable as error:
            text = "A request with this Idempotency-Key is being worked on. Ask again in a moment."
            raise of_kind("in-progress", text, Retry_After="1") from error

    async def _store(self, connection: Connection, fingerprint: bytes, response: Response) -> None:
        headers = {name: value for name, value in response.headers.items() if name in HEADERS_KEPT}
        answer = {"status": response.status_code, "headers": Jsonb(headers), "body": bytes(response.body)}
        await execute(connection, "store_answer", key=self._key, fingerprint=fingerprint, **answer)
        await execute(connection, "forget_old_answers", hours=KEPT_HOURS, limit=FORGOTTEN_AT_ONCE)


def _of_principal(key: str) -> str:
    """A key is its owner's: what another account asked for under the same is neither told nor in the way."""
    account_id = PRINCIPAL.get().account_id
    return key if account_id is None else hashlib.sha256(f"{account_id} {key}".encode()).hexdigest()


async def _fingerprint(request: Request) -> bytes:
    """Digest what is asked; how its JSON is written does not matter."""
    body = json.dumps(json.loads(await request.body() or b"null"), sort_keys=True)
    asked = (request.method, path_of(request.scope), request.headers.get("if-match", ""), body)
    return hashlib.sha256("\n".join(asked).encode()).digest()


async def _final_answer(act: Act, connection: Connection, request: Request) -> Response:
    """Act; a refusal is an answer too, except one that another attempt may not meet."""
    try:
        return await act(connection)
    except Busy:
        raise
    except StockError as error:
        return problem_of(error).response(request)
    except Problem as problem:
        return problem.response(request)


def _replay(stored: Row, fingerprint: bytes) -> Response:
    if stored["fingerprint"] != fingerprint:
        text = "This Idempotency-Key came with another request before. Each request needs a key of its own."
        raise of_kind("key-reused", text)
    headers = {**stored["headers"], "Idempotency-Replayed": "true"}
    return Response(stored["body"], stored["status"], headers)
