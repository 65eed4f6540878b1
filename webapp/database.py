"""The database's addresses, made ready, and the pool of connections for requests and views."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from webapp.embedded import EmbeddedServer, default_data_dir
from webapp.migrations import migrate
from webapp.settings import Settings, SetupError

Connection = psycopg.AsyncConnection[DictRow]

# A frozen network must not freeze a request: the kernel gives up on unanswered bytes, the server on idle peers.
_OPTIONS = {"connect_timeout": 5, "tcp_user_timeout": 5000, "keepalives_idle": 5, "keepalives_interval": 2}


@dataclass(frozen=True, slots=True)
class Database:
    """Where a migrated database is: for queries, and for LISTEN (the same unless a pooler stands between)."""

    url: str
    listen_url: str
    embedded: bool


@cache
def prepare(settings: Settings) -> Database:
    """Start the embedded server if no DATABASE_URL is set, and bring the schema up to date.

    Raises `SetupError` where an operator must act.
    """
    url = settings.database_url or _start_embedded(settings)
    listen_url = settings.listen_database_url or url
    for conninfo in (url, listen_url):
        _check_conninfo(conninfo)
    migrate(url)
    return Database(url, listen_url, embedded=settings.database_url is None)


def _start_embedded(settings: Settings) -> str:
    server = EmbeddedServer(default_data_dir(settings))
    url = server.start()
    server.guard()
    return url


def _check_conninfo(conninfo: str) -> None:
    try:
        make_conninfo(conninfo)
    except psycopg.ProgrammingError as error:
        message = "DATABASE_URL cannot be read; it looks like postgresql://user:password@host:5432/database"
        raise SetupError(f"{message}\n{error}".strip()) from error


def dedicated_conninfo(url: str, name: str) -> str:
    """Return connection parameters with our time limits and the application name that the log shows."""
    return make_conninfo(url, application_name=name, **_OPTIONS)


@asynccontextmanager
async def open_pool(database: Database, max_size: int = 8) -> AsyncIterator[AsyncConnectionPool[Connection]]:
    """Open the pool; statements are planned for their values and never prepared, so a pooler may stand between."""
    pool = AsyncConnectionPool[Connection](
        dedicated_conninfo(database.url, "live-inventory"),
        connection_class=psycopg.AsyncConnection[DictRow],
        kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": None},
        min_size=2,
        max_size=max_size,
        timeout=5,
        reconnect_timeout=0,
        configure=_configure,
        open=False,
    )
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close(timeout=2)


async def _configure(connection: Connection) -> None:
    await connection.execute("SET statement_timeout = '15s'; SET jit = off")


async def fetch(pool: AsyncConnectionPool[Connection], query: Any, parameters: Any = None) -> list[dict[str, Any]]:
    """Run one reading statement; return its rows. A connection lost while it lay idle is replaced, once."""
    for is_last in (False, True):
        async with pool.connection() as connection:
            try:
                cursor = await connection.execute(query, parameters)
                return await cursor.fetchall()
            except psycopg.OperationalError:
                if is_last or not connection.broken:
                    raise
        await pool.check()  # the server that closed one has closed the others too
    raise AssertionError("the last attempt returns or raises")
