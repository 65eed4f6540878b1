"""The pool of connections for requests and views: who may have one, and how long it may keep silent."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from webapp.postgres.database import Database, dedicated_conninfo

# Something in between may confirm the bytes and still never answer, so silence itself has a limit: it is short for a
# connection about to be used, and for its statements longer than the server itself lets them take.
CONNECTION_LIMIT_S = 4
CHECK_LIMIT_S = 2
SILENCE_LIMIT_S = 16
STATEMENT_LIMIT = "15s"
LOCK_LIMIT = "4s"

Connection = psycopg.AsyncConnection[DictRow]


class Pool(AsyncConnectionPool[Connection]):
    """The connections of requests and views.

    Half of them are for those who change the stock, who may wait for each other's locks: readers have the others.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._writers = asyncio.Semaphore(self.max_size // 2)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Be one of those who write. Raises `PoolTimeout` if there is no room for another in time."""
        try:
            async with asyncio.timeout(CONNECTION_LIMIT_S):
                await self._writers.acquire()
        except TimeoutError as error:
            raise PoolTimeout("others write, and wait for locks") from error
        try:
            yield
        finally:
            self._writers.release()


Source = Pool | Connection  # a connection is one with an open transaction, which what is done shall be part of


@asynccontextmanager
async def open_pool(database: Database, max_size: int = 8) -> AsyncIterator[Pool]:
    """Open the pool; statements are planned for their values and never prepared, so a pooler may stand between."""
    pool = Pool(
        dedicated_conninfo(database.url, "live-inventory"),
        connection_class=psycopg.AsyncConnection[DictRow],
        kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": None},
        min_size=2,
        max_size=max_size,
        timeout=CONNECTION_LIMIT_S,
        reconnect_timeout=0,
        configure=configure,
        open=False,
    )
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close(timeout=2)


async def configure(connection: Connection) -> None:
    """Bound what a connection waits for, and let what the role prefers elsewhere do no harm."""
    await connection.execute(
        "SELECT set_config('lock_timeout', %s, FALSE), set_config('statement_timeout', %s, FALSE),"
        " set_config('jit', 'off', FALSE), set_config('datestyle', 'ISO', FALSE),"  # psycopg reads no other
        " set_config('default_transaction_isolation', 'read committed', FALSE)",
        [LOCK_LIMIT, STATEMENT_LIMIT],
    )


@contextmanager
def hang_up_after(connection: Connection, limit_s: float) -> Iterator[None]:
    """Shut the socket down when time is up: a cancelled query would first ask the silent server to agree."""
    duplicate = socket.socket(fileno=os.dup(connection.fileno()))
    timer = asyncio.get_running_loop().call_later(limit_s, _shut_down, duplicate)
    try:
        yield
    finally:
        timer.cancel()
        duplicate.close()


def _shut_down(connected: socket.socket) -> None:
    with suppress(OSError):  # the other side was quicker
        connected.shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def use_connection(source: Source) -> AsyncIterator[Connection]:
    """Lend a connection of the pool that answered just now; one that falls silent ends in `OperationalError`."""
    if isinstance(source, psycopg.AsyncConnection):
        yield source
        return
    connection = await _answering_connection(source)
    try:
        with hang_up_after(connection, SILENCE_LIMIT_S):
            yield connection
    finally:
        await source.putconn(connection)


async def _answering_connection(pool: Pool) -> Connection:
    """After a restart of the server the pool is full of dead connections; its own check pauses after each of them."""
    gives_up_at = time.monotonic() + CONNECTION_LIMIT_S
    while True:
        connection = await pool.getconn(gives_up_at - time.monotonic())
        try:
            with hang_up_after(connection, CHECK_LIMIT_S):
                await connection.execute("")
        except psycopg.OperationalError:
            await pool.putconn(connection)
        except BaseException:
            await pool.putconn(connection)
            raise
        else:
            return connection


async def fetch(pool: Pool, query: Any, parameters: Any = None) -> list[dict[str, Any]]:
    """Run one reading statement; return its rows. A connection that is lost meanwhile is replaced, once."""
    async with use_connection(pool) as connection:
        try:
            return await _rows(connection, query, parameters)
        except psycopg.OperationalError:
            if not connection.broken:
                raise
    async with use_connection(pool) as connection:
        return await _rows(connection, query, parameters)


async def _rows(connection: Connection, query: Any, parameters: Any) -> list[dict[str, Any]]:
    cursor = await connection.execute(query, parameters)
    return await cursor.fetchall()
