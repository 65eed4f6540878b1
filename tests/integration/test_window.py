"""What a view takes for untouched is untouched: it reads no more than it must, and shows what a fresh query finds."""

import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from webapp.live import item_list, tallies, tally
from webapp.live.changes import Change, Changes, Touch
from webapp.live.item_list import ItemList
from webapp.live.matching import Matcher
from webapp.live.pieces import Pieces
from webapp.live.tallies import Tallies
from webapp.live.tally import Tally
from webapp.live.window import Stretch, Window
from webapp.postgres.database import Database, Pool, fetch, open_pool
from webapp.postgres.queries import QUERIES, filled, ordered
from webapp.rendering import Renderer
from webapp.settings import Settings
from webapp.stock.views import ALL_ITEMS, SORTS, View

LETTERS = ["a", "A", "b", "Ä", "ä", "ß", "ς", "σ", "İ", "%", "_", "\\", "🍏", "é", "e\u0301", "0"]
COLUMNS = ("name", "quantity", "unit", "location", "reorder_level", "code")
Chance = random.Random


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three rows, and so few numbers kept that searches are done in every way there is."""
    monkeypatch.setattr(item_list, "PAGE_ROWS", 3)
    monkeypatch.setattr(item_list, "MARGIN_ROWS", 2)
    monkeypatch.setattr(item_list, "NEAR", 10)
    for module in (tallies, tally):
        monkeypatch.setattr(module, "KEPT_IDS", 8)


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
    """Return tallies of now, the total among them: with it a view knows which part of all matches."""
    counts = Tallies(pool)
    await counts.figures(await counts.of(ALL_ITEMS))
    return counts


async def touches(
    database: psycopg.Connection, pool: Pool, chance: Chance, tables: int
) -> AsyncGenerator[tuple[Touch, bool], None]:
    """Yield for random tables, views and changes what is touched, and whether reading so much makes the view right."""
    pieces = Pieces(Renderer(Settings().timezone))
    for _ in range(tables):
        database.execute("TRUNCATE inventory RESTART IDENTITY")
        for _ in range(chance.choice([0, 3, 30, 30])):
            insert(database, chance)
        counts = await counted(pool)
        shown = [ItemList(random_view(chance), pool, counts, pieces) for _ in range(12)]
        for each in shown:
            await each.load(Touch.ALL)
        row = database.execute("SELECT pg_current_snapshot()::text").fetchone()
        for _ in range(chance.choice([1, 1, 3])):
            chance.choice([insert, update, delete])(database, chance)
        changes = changes_since(database, row[0] if row else None)
        for each in shown[::2]:
            await each.load(Touch.ALL)  # what is there already, counted by what was told before
        for each_count in counts:
            each_count.hear(changes)
        counted_now = await counted(pool)
        for each in shown:
            touch = each.touched_by(changes)
            if touch is not Touch.NOTHING:
                await each.load(touch)
            yield touch, each._listing == await ItemList(each.view, pool, counted_now, pieces).read()


async def goes_wrong(database: psycopg.Connection, pool: Pool) -> bool:
    """Whether some view is not made right."""
    async with aclosing(touches(database, pool, random.Random(1), tables=50)) as met:
        async for _, is_right in met:
            if not is_right:
                return True
    return False


async def test_reading_what_is_touched_makes_a_view_right(shared: psycopg.Connection, pool: Pool) -> None:
    met: Counter[Touch] = Counter()
    async for touch, is_right in touches(shared, pool, random.Random(1), tables=50):
        met[touch] += 1
        assert is_right
    assert min(met[touch] for touch in Touch if touch is not Touch.DOUBT) > 10, "each that a change can be was met"


async def test_the_control_a_window_that_takes_what_comes_before_it_for_its_own_is_caught(
    shared: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Window._count
    monkeypatch.setattr(Window, "_count", lambda self, place, by: None if self._beyond else count(self, place, by))
    assert await goes_wrong(shared, pool)


async def test_the_control_a_filter_that_forgets_what_was_low_is_caught(
    shared: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Changes, "has_low", property(lambda changes: False))
    assert await goes_wrong(shared, pool)


async def test_the_control_a_page_counted_off_from_an_end_that_moves_is_caught(
    shared: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Window, "_before", lambda self, matches: 0 if self._first is None else self._beyond)
    assert await goes_wrong(shared, pool)


async def test_the_control_numbers_that_new_items_are_not_added_to_are_caught(
    shared: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally.Tally, "_add_id", lambda *given, **named: None)
    assert await goes_wrong(shared, pool)


def without_snapshot(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows without the moment when they were found."""
    for row in rows:
        del row["snapshot"]
    return rows


async def test_all_ways_to_find_a_page_find_the_same(shared: psycopg.Connection, pool: Pool) -> None:
    chance = random.Random(2)
    shared.execute("TRUNCATE inventory RESTART IDENTITY")
    for _ in range(40):
        insert(shared, chance)
    exact = [row[0] for row in shared.execute("SELECT code FROM inventory WHERE code IS NOT NULL LIMIT 20").fetchall()]
    codes = {row[0] for row in shared.execute("SELECT inventory_fold(code) FROM inventory").fetchall()}
    met: Counter[bool] = Counter()
    for _ in range(60):
        view = replace(random_view(chance), q=chance.choice([*exact, *LETTERS]))
        count = Tally(await Matcher.of(view.filter, pool))
        order: dict[str, Any] = {"column": view.column, "descending": view.descending}
        (figures,) = await fetch(pool, filled("figures", matches="matches"), {**count.parameters, "kept": 1000})
        count.ids = set(figures["ids"])
        assert len(count.ids) == figures["items"]
        whole = {**count.matcher.parameters, "page_rows": 40, "offset": 0, "near": 40}
        rows = without_snapshot(await fetch(pool, ordered("view_items", **order, found="in_order"), whole))
        near = without_snapshot(await fetch(pool, ordered("view_items_near", **order), whole))
        assert near == ([] if count.matcher.needle in codes else rows)
        for page in range(1, -(-len(rows) // 3) + 1):
            stretch = Stretch.around(page, len(rows), 3)
            parameters = {**count.parameters, "page_rows": stretch.rows, "offset": stretch.offset}
            for found in ("all_first", "in_order"):
                query = ordered("view_items", **order, found=found, from_end=stretch.from_end)
                assert without_snapshot(await fetch(pool, query, parameters)) == rows[3 * (page - 1) : 3 * page]
            met[stretch.from_end] += 1
    assert min(met[True], met[False]) > 20


@pytest.mark.parametrize(
    ("matches", "page", "stretch"),
    [
        (0, 1, Stretch(0, 3, from_end=False)),
        (2, 1, Stretch(0, 3, from_end=False)),
        (4, 2, Stretch(0, 1, from_end=True)),
        (6, 2, Stretch(0, 3, from_end=True)),
        (9, 2, Stretch(3, 3, from_end=False)),
        (10, 3, Stretch(1, 3, from_end=True)),
    ],
)
def test_a_page_is_counted_off_from_the_nearer_end(matches: int, page: int, stretch: Stretch) -> None:
    assert Stretch.around(page, matches, 3) == stretch
