"""What one change costs, counted and not timed: whoever makes it cost more than it must fails here, on any machine."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import psycopg
import pytest

from tests.browserless import BrowserlessPage, open_page
from tests.server import LiveServer, serve
from tests.waiting import until
from tests.work import Work, counted_work

CHANGES = 3  # one after the other, so that what comes late is counted with the next
UNTOUCHED = ("q=item+9", "location=attic", "low=1", "page=2", "sort=-name")


class Warehouse:
    """An inventory with pages open on it: some look at its first page, one at each view that no change here touches."""

    def __init__(self, server: LiveServer, database: psycopg.Connection, work: Work) -> None:
        self.work = work
        self.watching: list[BrowserlessPage] = []
        self.others: list[BrowserlessPage] = []
        self.stack = AsyncExitStack()
        self._server = server
        self._database = database
        self._quantity = 1000

    async def open(self, pages: int, views: Sequence[str] = ()) -> None:
        """Open pages on the first view, and one on each of the others, and wait until all are live."""
        self.watching += [await self.stack.enter_async_context(open_page(self._server)) for _ in range(pages)]
        self.others += [await self.stack.enter_async_context(open_page(self._server, query)) for query in views]
        await until(lambda: all(page.beats for page in self.watching + self.others))

    async def change_one_after_the_other(self) -> None:
        """Change the first item, and again when every page shows that."""
        self.work.clear()
        for page in self.watching + self.others:
            page.frames.clear()
        for _ in range(CHANGES):
            self._quantity += 1
            await asyncio.to_thread(
                self._database.execute, "UPDATE inventory SET quantity = %s WHERE name = 'item 0'", [self._quantity]
            )
            await until(self._is_told)

    def _is_told(self) -> bool:
        told = f"→ {self._quantity}"
        return all(page.items()[0][1] == self._quantity for page in self.watching) and all(
            told in next(iter(page.lists["activity"].values())) for page in self.watching + self.others
        )


@pytest.fixture
async def warehouse(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Warehouse]:
    monkeypatch.setattr("webapp.live.live_view.TOGETHER_S", 5.0)  # however slow the machine is, one change is one frame
    database.execute(
        "INSERT INTO inventory (name, quantity, location)"
        " SELECT 'item ' || number, number, 'cellar' FROM generate_series(0, 120) AS number"
    )
    with counted_work() as work, serve(database_url) as server:
        made = Warehouse(server, database, work)
        async with made.stack:
            yield made


def news(page: BrowserlessPage) -> list[str]:
    """Return the frames that told a page of a change."""
    return [frame for frame in page.frames if 'id="revision"' in frame or 'id="summary-revision"' in frame]


async def test_a_change_is_read_rendered_and_framed_once_for_all_pages(warehouse: Warehouse) -> None:
    await warehouse.open(2, UNTOUCHED)
    await warehouse.change_one_after_the_other()
    queries, renders = Counter(warehouse.work.queries), Counter(warehouse.work.renders)
    assert queries == {"items_by_ids": CHANGES, "latest_changes": CHANGES}, "a query for each list, none for the totals"
    assert renders["items/_row.html"] == 2 * CHANGES, "the row once as it is and once as it changes"
    assert renders["summary/_change.html"] == CHANGES
    assert set(warehouse.work.frames.values()) == {1}, "whoever lacks the same gets the same frame"

    await warehouse.open(12)
    await warehouse.change_one_after_the_other()
    assert warehouse.work.queries == queries, "more pages are no more queries"
    assert warehouse.work.renders == renders, "more pages are no more work for the templates"
    assert set(warehouse.work.frames.values()) == {1}

    for page in warehouse.watching:
        assert len(news(page)) <= 2 * CHANGES, "one frame for the rows, one for the summary, or one for both"
    for page in warehouse.others:
        assert not any('id="revision"' in frame for frame in page.frames), "a view that is not touched tells nothing"
        assert len(news(page)) <= CHANGES
