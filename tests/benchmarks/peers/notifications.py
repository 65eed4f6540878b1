"""What PostgreSQL notifies, as psycopg's documentation shows it."""

import os
from collections.abc import AsyncIterator

import psycopg


async def notifications() -> AsyncIterator[str]:
    """Yield each payload, for ever."""
    connection = await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True)
    async with connection:
        await connection.execute("LISTEN messages_channel")
        async for notification in connection.notifies():
            yield notification.payload
