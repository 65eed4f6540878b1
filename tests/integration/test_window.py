"""What a view takes for untouched is untouched: it reads no more than it must, and shows what a fresh query finds."""

import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.random_stock import LETTERS, Chance, Feed, counted, delete, insert, random_view, update
from tests.work import counted_work
from webapp.live import finder, tally
from webapp.live.changes import Changes, Touch
from webapp.live.item_list import ItemList
from webapp.live.matching import Matcher
from webapp.live.pieces import Pieces
from webapp.live.tally import Tally
from webapp.live.window import Stretch, Window
from webapp.postgres.pool import Pool, fetch
from webapp.postgres.queries import filled, ordered
from webapp.rendering import Renderer
from webapp.settings import Settings
from webapp.stock.views import View

pytestmark = pytest.mark.usefixtures("small_lists")


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
        feed = Feed(database)
        for _ in range(chance.choice([1, 1, 3])):
            chance.choice([insert, update, delete])(database, chance)
        changes = feed.changes()
        for each in shown[::2]:
            await each.load(Touch.ALL)  # what is there already, counted by what was told before
        for each_count in counts:
            each_count.hear(changes)
        counted_now = await counted(pool)
        for each in shown:
            touch = each.touched_by(changes)
            if touch is not Touch.NOTHING:
                await each.load(touch)
            yield touch, each.listing == await ItemList(each.view, pool, counted_now, pieces).read()


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


async def test_between_any_two_values_a_page_is_found_right_or_not_whole(
    shared: psycopg.Connection, pool: Pool
) -> None:
    chance = random.Random(3)
    shared.execute("TRUNCATE inventory RESTART IDENTITY")
    for _ in range(60):
        insert(shared, chance)
    met: Counter[bool] = Counter()
    for _ in range(60):
        view = replace(random_view(chance), q=chance.choice(["", "", *LETTERS]))
        matcher = await Matcher.of(view.filter, pool)
        order: dict[str, Any] = {"column": view.column, "descending": view.descending}
        whole = {**matcher.parameters, "page_rows": 60, "offset": 0}
        rows = without_snapshot(await fetch(pool, ordered("view_items", **order, found="in_order"), whole))
        values = [row["key"] for row in rows if row["key"] is not None]
        for page in range(1, -(-len(rows) // 3) + 1) if values else ():
            stretch = Stretch.around(page, len(rows), 3)
            first, last = sorted(chance.choices(range(len(values)), k=2), reverse=stretch.from_end)
            from_start = chance.choice([True, False])
            parameters = {**matcher.parameters, "page_rows": stretch.rows, "offset": stretch.offset}
            query = ordered("view_items_between", **order, from_end=stretch.from_end)
            found = await fetch(
                pool, query, {**parameters, "first": values[first], "last": values[last], "from_start": from_start}
            )
            is_whole = len(found) == stretch.rows
            assert not is_whole or without_snapshot(found) == rows[3 * (page - 1) : 3 * page]
            met[is_whole] += 1
    assert min(met[True], met[False]) > 20


@pytest.mark.parametrize(("slack", "ways"), [(1, {"between"}), (-0.2, {"between", "all"})])
async def test_a_deep_page_is_put_in_order_alone_and_with_all_others_only_if_a_sample_was_wrong(
    shared: psycopg.Connection, pool: Pool, monkeypatch: pytest.MonkeyPatch, slack: float, ways: set[str]
) -> None:
    monkeypatch.setattr(finder, "SLACK", slack)
    monkeypatch.setattr(finder, "MOST", 1)
    shared.execute("TRUNCATE inventory RESTART IDENTITY")
    shared.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, 90) AS n")
    counts = await counted(pool)
    with counted_work() as work:
        shown = ItemList(View(sort="-quantity", page=11), pool, counts, Pieces(Renderer(Settings().timezone)))
        listing = await shown.read()
    assert [item.quantity for item in listing.items] == [60, 59, 58]
    names = {"view_items_between": "between", "view_items": "all"}
    assert {way for name, way in names.items() if work.queries[name]} == ways


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
