"""Named queries, run on a connection of the pool, or on one whose open transaction they shall be part of."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

from psycopg.errors import DiskFull, ReadOnlySqlTransaction

from webapp.postgres.pool import Connection, Pool, Source, fetch, use_connection
from webapp.postgres.queries import QUERIES

Row = dict[str, Any]


@asynccontextmanager
async def transaction(source: Source) -> AsyncIterator[Connection]:
    """Open a transaction, or a savepoint in the one that is open."""
    async with use_connection(source) as connection, connection.transaction():
        yield connection


@asynccontextmanager
async def writing_transaction(source: Source) -> AsyncIterator[Connection]:
    """Open a transaction that changes the stock, and may wait for others that do."""
    async with source.writing() if isinstance(source, Pool) else nullcontext(), transaction(source) as connection:
        yield connection


async def fetch_one(source: Source, query: str, /, **values: object) -> Row | None:
    """Return the only row, if there is one."""
    async with use_connection(source) as connection:
        return await (await connection.execute(QUERIES[query], values)).fetchone()


async def fetch_all(source: Source, query: str, /, **values: object) -> list[Row]:
    """Return all rows."""
    async with use_connection(source) as connection:
        return await (await connection.execute(QUERIES[query], values)).fetchall()


async def read(pool: Pool, query: str, /, **values: object) -> list[Row]:
    """Return all rows of a query that changes nothing: where the connection is lost meanwhile, it is asked again."""
    return await fetch(pool, QUERIES[query], values)


async def execute(source: Source, query: str, /, **values: object) -> None:
    """Run a statement that returns nothing."""
    async with use_connection(source) as connection:
        await connection.execute(QUERIES[query], values)


async def note(source: Source, query: str, /, **values: object) -> None:
    """Run a statement that may as well be left out: a database that is full or read-only still serves readers."""
    with suppress(DiskFull, ReadOnlySqlTransaction):
        await execute(source, query, **values)
