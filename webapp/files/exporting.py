"""Exporting items as CSV, a batch at a time: a million of them need no more memory than a hundred."""

from collections.abc import AsyncIterator

import psycopg
from psycopg.rows import TupleRow

from webapp.files.csv_files import BOM, to_csv
from webapp.live.matching import Matcher
from webapp.postgres.database import dedicated_conninfo
from webapp.postgres.pool import LOCK_LIMIT
from webapp.postgres.queries import QUERIES, ordered
from webapp.stock.views import View

COLUMNS = ("code", "name", "quantity", "unit", "location", "reorder_level")
BATCH_ROWS = 1_000


async def export_csv(url: str, view: View) -> AsyncIterator[bytes]:
    """Yield the items of all pages of a view: UTF-8, a header, CRLF; the first part holds the header alone.

    The byte order mark is there for Excel, which else takes UTF-8 for the system's own encoding; what reads CSV
    otherwise passes it over. There is no id: items are found by code or name, in any database.
    """
    query = ordered("export_items", view.column, descending=view.descending)
    async with await psycopg.AsyncConnection.connect(
        dedicated_conninfo(url, "live-inventory export"), prepare_threshold=None
    ) as connection:
        await connection.execute(QUERIES["limit_export"], {"lock_timeout": LOCK_LIMIT})
        needle = await (await connection.execute(QUERIES["fold"], {"text": view.q})).fetchone() or ("",)
        async with connection.cursor(name="export") as cursor:
            await cursor.execute(query, Matcher(view.filter, needle[0]).parameters)
            rows: list[TupleRow] = await cursor.fetchmany(BATCH_ROWS)
            yield (BOM + to_csv([COLUMNS])).encode()
            while rows:
                yield to_csv(rows).encode()
                rows = await cursor.fetchmany(BATCH_ROWS)
