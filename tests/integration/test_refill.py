"""A view looks anew beside before it has to, and misses nothing of what it is told meanwhile."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import psycopg
import pytest

from tests.random_stock import Chance, Feed, counted, delete, insert, random_view, update
from webapp.live.changes import Changes, Touch
from webapp.live.item_list import ItemList
from webapp.live.pieces import Pieces
from webapp.live.tallies import Tallies
from webapp.postgres.pool import Pool
from webapp.rendering import Renderer
from webapp.settings import Settings
from webapp.stock.views import View

pytestmark = pytest.mark.usefixtures("small_lists")


class Gate:
    """What is read beside is taken over only when it opens: until then it grows old."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()
        self.passed = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        yield
        await self._opened.wait()

    async def pass_through(self, lists: list[ItemList]) -> None:
        """Let all through that wait."""
        self._opened.set()
        waiting = [each._refilling for each in lists if each._refilling]
        await asyncio.gather(*waiting)
        self._opened.clear()
        self.passed += len(waiting)


async def tell(changes: Changes, counts: Tallies, lists: list[ItemList]) -> None:
    """Hand changes to the tallies and the lists, and let them show what they then must."""
    for each_count in counts:
        each_count.hear(changes)
    for each in lists:
        if touch := each.touched_by(changes):
            await each.load(touch)


async def rounds(url: str, pool: Pool, seed: int, gate: Gate) -> AsyncGenerator[bool, None]:
    """Yield for views that live through many changes whether each is right.

    One transaction after the other is late: others write and commit before it ends, and views are read.
    """
    chance, pieces = Chance(seed), Pieces(Renderer(Settings().timezone))
    with psycopg.connect(url, autocommit=True) as database, psycopg.connect(url) as late:
        database.execute("TRUNCATE inventory RESTART IDENTITY")
        database.execute("SELECT setseed(0.5)")
        for _ in range(60):
            insert(database, chance)
        counts, feed = await counted(pool), Feed(database)
        shown = [ItemList(random_view(chance), pool, counts, pieces, gate.turn) for _ in range(12)]
        for each in shown:
            await each.load(Touch.ALL)
        for number in range(30):
            late.execute("INSERT INTO inventory (name, quantity) VALUES (%s, 2)", [f"a late {number}"])
            for _ in range(chance.choice([1, 1, 2, 4])):
                chance.choice([insert, update, delete])(database, chance)
            if chance.random() < 0.5:
                late.commit()
            await tell(feed.changes(), counts, shown)
            if chance.random() < 0.2:
                await gate.pass_through(shown)
            counted_now = await counted(pool)
            for each in shown:
                yield each.listing == await ItemList(each.view, pool, counted_now, pieces).read()
        await gate.pass_through(shown)


async def test_a_view_that_looks_anew_beside_what_it_is_told_stays_right(shared_url: str, pool: Pool) -> None:
    gate = Gate()
    async for is_right in rounds(shared_url, pool, 1, gate):
        assert is_right
    assert gate.passed > 5


async def test_the_control_a_view_that_forgets_what_it_was_told_while_it_looked_is_caught(
    shared_url: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgetful = property(lambda view: [], lambda view, moves: None)
    monkeypatch.setattr(ItemList, "_moves_meanwhile", forgetful, raising=False)
    for seed in (1, 6, 2, 4):
        async with aclosing(rounds(shared_url, pool, seed, Gate())) as met:
            async for is_right in met:
                if not is_right:
                    return
    pytest.fail("nobody noticed")


async def test_however_many_items_leave_one_by_one_no_page_waits_until_it_is_read_anew(
    shared: psycopg.Connection, pool: Pool
) -> None:
    shared.execute("TRUNCATE inventory RESTART IDENTITY")
    shared.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, 40) AS n")
    counts, feed, gate = await counted(pool), Feed(shared), Gate()
    shown = ItemList(View(sort="quantity", page=4), pool, counts, Pieces(Renderer(Settings().timezone)), gate.turn)
    await shown.load(Touch.ALL)
    for first in range(1, 21):
        shared.execute("DELETE FROM inventory WHERE id = %s", [first])
        changes = feed.changes()
        for each in counts:
            each.hear(changes)
        assert shown.touched_by(changes) is Touch.SOME
        await shown.load(Touch.SOME)
        await gate.pass_through([shown])
        assert shown.listing
        assert [item.id for item in shown.listing.items] == [first + 10, first + 11, first + 12]
