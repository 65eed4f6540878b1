"""What a load balancer or an operator asks: whether the process lives, and whether it may be given visitors."""

import asyncio

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from webapp.live.hub import Hub
from webapp.postgres.migrations import all_migrations
from webapp.postgres.pool import Pool
from webapp.postgres.statements import read
from webapp.responses import READ

router = APIRouter()

OK = "ok"
ANSWER_LIMIT_S = 2.0  # probes are impatient
_NO_STORE = {"Cache-Control": "no-store"}


class Readiness:
    """Whether database, schema and change feed are as they must be."""

    def __init__(self, pool: Pool, hub: Hub) -> None:
        self._pool = pool
        self._hub = hub
        self._needed = [migration.name for migration in all_migrations()]
        self._asking: asyncio.Task[dict[str, str]] | None = None

    async def check(self) -> dict[str, str]:
        """Return for each part `OK` or what is wrong with it."""
        return {**await self._ask_once(), "feed": self._check_feed()}

    async def _ask_once(self) -> dict[str, str]:
        """Anybody may ask, so that all who do so at a time share one connection; none waits for a silent server."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_database())
        done, _ = await asyncio.wait({self._asking}, timeout=ANSWER_LIMIT_S)
        return self._asking.result() if done else _without_database(f"no answer within {ANSWER_LIMIT_S:g} s")

    async def _ask_database(self) -> dict[str, str]:
        try:
            rows = await read(self._pool, "applied_migrations")
        except (psycopg.OperationalError, OSError) as error:
            return _without_database(f"no answer ({type(error).__name__})")
        except psycopg.Error as error:
            return {"database": OK, "migrations": f"cannot be read ({type(error).__name__})"}
        missing = sorted(set(self._needed) - {row["name"] for row in rows})
        return {"database": OK, "migrations": f"missing: {', '.join(missing)}" if missing else OK}

    def _check_feed(self) -> str:
        if self._hub.is_certain():
            return OK
        lag_s = self._hub.lag_s
        return "not read yet" if lag_s == float("inf") else f"not read for {lag_s:.1f} s"


def _without_database(problem: str) -> dict[str, str]:
    return {"database": problem, "migrations": "not known without the database"}


@router.api_route("/healthz", methods=READ)
async def healthz() -> Response:
    """Whether the process is alive."""
    return JSONResponse({"status": OK}, headers=_NO_STORE)


@router.api_route("/readyz", methods=READ)
async def readyz(request: Request) -> Response:
    """Whether pages can be served, and would be fresh; 503 if not. It names each part, and tells no secret."""
    parts = await request.app.state.readiness.check()
    is_ready = all(each == OK for each in parts.values())
    return JSONResponse({"status": OK if is_ready else "not ready", **parts}, 200 if is_ready else 503, _NO_STORE)
