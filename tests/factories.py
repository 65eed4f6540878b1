"""Items for tests, written by plain SQL as any program would; a test names only what matters to it."""

from itertools import count

import psycopg
from psycopg import sql

_numbers = count(1)


def make_item(database: psycopg.Connection, **columns: object) -> int:
    """Insert one item and return its id; a name and a quantity are made up where none is given."""
    values = {"name": f"item {next(_numbers)}", "quantity": 10} | columns
    statement = sql.SQL("INSERT INTO inventory ({}) VALUES ({}) RETURNING id").format(
        sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Placeholder, values))
    )
    row = database.execute(statement, values).fetchone()
    assert row is not None
    return int(row[0])


def make_items(database: psycopg.Connection, count: int) -> None:
    """Insert items 1, 2, 3 ... in one statement; the quantity of each is its number."""
    query = "INSERT INTO inventory (name, quantity) SELECT 'item ' || i, i FROM generate_series(1, %s) AS i"
    database.execute(query, [count])
