"""Random items, views and changes, and what the feed tells of them: few values, so that they meet often."""

import random

import psycopg
from psycopg.rows import dict_row

from webapp.live.changes import Change, Changes
from webapp.live.tallies import Tallies
from webapp.postgres.pool import Pool
from webapp.postgres.queries import QUERIES
from webapp.stock.views import ALL_ITEMS, SORTS, View

LETTERS = ["a", "A", "b", "Ä", "ä", "ß", "ς", "σ", "İ", "%", "_", "\\", "🍏", "é", "e\u0301", "0"]
COLUMNS = ("name", "quantity", "unit", "location", "reorder_level", "code")
Chance = random.Random


def random_item(chance: Chance) -> dict[str, object]:
    def text(*otherwise: str | None) -> str | None:
        return chance.choice(["".join(chance.choices(LETTERS, k=chance.randrange(1, 4))), *otherwise])

    values = (text(), chance.randrange(4), text(None), chance.choice("Aä"), chance.choice([None, 1, 3]), text(None))
    return dict(zip(COLUMNS, values, strict=True))


def random_view(chance: Chance) -> View:
    return View(
        q=chance.choice(["", chance.choice(LETTERS)]),
        sort=chance.choice(["", "-"]) + chance.choice(SORTS),
        low=chance.random() < 0.2,
        location=chance.choice(["", "", "", "A"]),
        page=chance.choice([1, 1, 2, 3, 9]),
    )


def insert(database: psycopg.Connection, chance: Chance) -> None:
    database.execute(
        "INSERT INTO inventory (name, quantity, unit, location, reorder_level, code) VALUES (%(name)s, %(quantity)s,"
        " %(unit)s, %(location)s, %(reorder_level)s, %(code)s) ON CONFLICT DO NOTHING",
        random_item(chance),
    )


def update(database: psycopg.Connection, chance: Chance) -> None:
    column = chance.choice(COLUMNS)
    statement = f"UPDATE inventory SET {column} = %s WHERE id = (SELECT id FROM inventory ORDER BY random() LIMIT 1)"
    try:
        database.execute(statement.encode(), [random_item(chance)[column]])
    except psycopg.errors.UniqueViolation:
        insert(database, chance)


def delete(database: psycopg.Connection, chance: Chance) -> None:
    database.execute("DELETE FROM inventory WHERE id = (SELECT id FROM inventory ORDER BY random() LIMIT 1)")


class Feed:
    """The change feed of a test, which alone writes, or has written."""

    def __init__(self, database: psycopg.Connection) -> None:
        self._database = database
        self._cursor = self._snapshot()

    def changes(self) -> Changes:
        """Return what was committed since the last call, or since the feed was made."""
        with self._database.cursor(row_factory=dict_row) as reader:
            rows = reader.execute(QUERIES["changes_since"], {"cursor": self._cursor, "limit": 100}).fetchall()
        self._cursor = self._snapshot()
        return Changes(tuple(Change.from_row(row) for row in rows if row["id"] is not None))

    def _snapshot(self) -> object:
        row = self._database.execute("SELECT pg_current_snapshot()::text").fetchone()
        return row[0] if row else None


async def counted(pool: Pool) -> Tallies:
    """Return tallies of now, the total among them: with it a view knows which part of all matches."""
    counts = Tallies(pool)
    await counts.figures(await counts.of(ALL_ITEMS))
    return counts
