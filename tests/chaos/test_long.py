"""Statements that change everything, and a transaction that stays open beside them: pages follow, and end right."""

import asyncio
import os

import psycopg

from tests.browserless import open_page
from tests.server import serve
from tests.waiting import until

ROWS = int(os.environ.get("ROWS", "20000"))  # ROWS=1000000 takes a minute


async def test_pages_are_right_after_statements_of_all_rows_beside_a_transaction_left_open(database_url: str) -> None:
    statements = (
        f"INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, {ROWS}) AS n",
        "UPDATE inventory SET quantity = quantity + 1",
        "DELETE FROM inventory WHERE id % 2 = 0",
    )
    with (
        serve(database_url) as server,
        psycopg.connect(database_url, autocommit=True) as database,
        psycopg.connect(database_url) as left_open,
    ):
        async with open_page(server, "sort=-quantity") as page:
            left_open.execute("INSERT INTO inventory (name, quantity) VALUES ('long open', 9223372036854775807)")
            for statement in statements:
                await asyncio.to_thread(database.execute, statement.encode())
                expected = database.execute("SELECT name, quantity FROM inventory ORDER BY quantity DESC LIMIT 50")
                rows = expected.fetchall()
                await until(lambda rows=rows: page.items() == rows, within_s=60)  # type: ignore[misc]
            left_open.commit()
            await until(lambda: page.items()[0] == ("long open", 9223372036854775807))
            assert page.items()[1:] == rows[:49]
