"""What a view takes for untouched is untouched: it reads no more than it must, and shows what a fresh query finds."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from webapp import sources
from webapp.changes import Change, Changes, Touch
from webapp.database import Database, Pool, fetch, open_pool
from webapp.matching import Matcher
from webapp.queries import QUERIES, ordered
from webapp.rendering import Renderer
from webapp.settings import Settings
from webapp.sources import ItemList, Pieces
from webapp.tallies import Tallies
from webapp.views import ALL_ITEMS, SORTS, View
from webapp.window import Side, Window

LETTERS = ["a", "A", "b", "Ä", "ä", "ß", "ς", "σ", "İ", "%", "_", "\\", "🍏", "é", "e\u0301", "0"]
COLUMNS = ("name", "quantity", "unit", "location", "reorder_level", "code")
Chance = random.Random


@pytest.fixture
async def pool(shared_url: str) -> AsyncIterator[Pool]:
    async with open_pool(Database(shared_url, shared_url)) as pool:
        yield pool


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


def changes_since(database: psycopg.Connection, cursor: object) -> Changes:
    with database.cursor(row_factory=dict_row) as reader:
        rows = reader.execute(QUERIES["changes_since"], {"cursor": cursor, "limit": 100}).fetchall()
    return Changes(tuple(Change.from_row(row) for row in rows if row["id"] is not None))


async def counted(pool: Pool) -> Tallies:
    """Return tallies of now, the total among them: with it a view knows whether many match."""
    tallies = Tallies(pool)
    await tallies.figures(await tallies.of(ALL_ITEMS))
    return tallies


async def touches(
    database: psycopg.Connection, pool: Pool, chance: Chance, tables: int
) -> AsyncIterator[tuple[Touch, bool]]:
    """Yield for random tables, views and changes what is touched, and whether reading so much makes the view right."""
    pieces = Pieces(Renderer(Settings().timezone))
    for _ in range(tables):
        database.execute("TRUNCATE inventory RESTART IDENTITY")
        for _ in range(chance.choice([0, 3, 30, 30])):
            insert(database, chance)
        tallies = await counted(pool)
        shown = [ItemList(random_view(chance), pool, tallies, pieces) for _ in range(12)]
        for each in shown:
            await each.load(Touch.ALL)
        row = database.execute("SELECT pg_current_snapshot()::text").fetchone()
        for _ in range(chance.choice([1, 1, 3])):
            chance.choice([insert, update, delete])(database, chance)
        changes = changes_since(database, row[0] if row else None)
        for tally in tallies:
            tally.hear(changes)
        counted_now = await counted(pool)
        for each in shown:
            touch = each.touched_by(changes)
            if touch is not Touch.NOTHING:
                await each.load(touch)
            yield touch, each._listing == await ItemList(each.view, pool, counted_now, pieces).read()


async def test_reading_what_is_touched_makes_a_view_right(
    shared: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PAGE_ROWS", 3)
    met: Counter[Touch] = Counter()
    async for touch, is_right in touches(shared, pool, random.Random(1), tables=50):
        met[touch] += 1
        assert is_right
    assert min(met[touch] for touch in Touch) > 10, "each of the four was met"


async def test_the_control_a_window_that_takes_what_comes_before_it_for_its_own_is_caught(
    shared: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PAGE_ROWS", 3)
    side = Window._side
    monkeypatch.setattr(Window, "_side", lambda *given: side(*given) or Side.AFTER)
    assert not all([is_right async for _, is_right in touches(shared, pool, random.Random(1), tables=15)])


async def test_the_control_a_filter_that_forgets_what_was_low_is_caught(
    shared: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PAGE_ROWS", 3)
    monkeypatch.setattr(Changes, "has_low", property(lambda changes: False))
    assert not all([is_right async for _, is_right in touches(shared, pool, random.Random(1), tables=15)])


async def test_all_ways_to_find_a_page_find_the_same(shared: psycopg.Connection, pool: Pool) -> None:
    chance = random.Random(2)
    shared.execute("TRUNCATE inventory RESTART IDENTITY")
    for _ in range(40):
        insert(shared, chance)
    exact = [row[0] for row in shared.execute("SELECT code FROM inventory WHERE code IS NOT NULL LIMIT 20").fetchall()]
    for _ in range(100):
        view = replace(random_view(chance), q=chance.choice([*exact, *LETTERS]))
        matcher = await Matcher.of(view.filter, pool)
        parameters = {**matcher.parameters, "page_rows": 3, "offset": chance.choice([0, 0, 3, 6])}
        order: dict[str, Any] = {"column": view.column, "descending": view.descending}
        few, in_order = (ordered("view_items", **order, found=found) for found in ("all_first", "in_order"))
        rows = await fetch(pool, few, parameters)
        assert await fetch(pool, in_order, parameters) == rows
        assert await fetch(pool, ordered("view_items_of_many", **order), parameters) == rows


async def test_while_nobody_has_counted_all_items_any_number_may_be_few(shared: psycopg.Connection, pool: Pool) -> None:
    assert Tallies(pool).are_few(5, 0.25)
    shared.execute("TRUNCATE inventory RESTART IDENTITY")
    shared.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, 16) AS n")
    tallies = await counted(pool)
    assert tallies.are_few(4, 0.25)
    assert not tallies.are_few(5, 0.25)
