"""What views cost: opening one, telling a change in it, and what one change makes the server do when many are open."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing

import psycopg

from tests.benchmarks.figures import Cell, Table, percentile
from tests.benchmarks.lab import Application, Lab
from tests.benchmarks.probe import CALM_S, HELLO, SETTLE_S, Writer, delays_ms, open_page, watch
from tests.server import serve
from tests.waiting import until
from tests.work import counted_work

ITEMS = 100_000
OPENINGS = 7
VIEWS = {
    "by name": "",
    "one location": "location=shelf+7",
    "low stock": "low=1",
    "search, few matches": "q=7777",
    "search, many matches": "q=item",
    "by quantity": "sort=-quantity",
    "search, many matches, by quantity": "q=item&sort=-quantity",
    "deep page": "page=1000",
    "deep page by location, descending": "sort=-location&page=1000",
    "deep page by quantity": "sort=quantity&page=1000",
    "deep page of a search": "q=item&page=1000",
    "last page by quantity": "sort=quantity&page=1000000",
}

SORTS = ("name", "quantity", "-updated_at", "reorder_level", "code")
MANY = [
    *(f"location=shelf+{place}&sort={sort}" for place in range(20) for sort in SORTS),
    *(f"q=SKU-{number}" for number in range(100, 300)),
    *(f"page={page}" for page in range(1, 201)),
]
CHANGES = {
    "quantity of one item": b"UPDATE inventory SET quantity = quantity + 1 WHERE id = 1",
    "a unit, on no sorted column": b"UPDATE inventory SET unit = 'kg' WHERE id = 2",
    "a new item": b"INSERT INTO inventory (name, quantity) VALUES ('new', 1)",
}


def measure(lab: Lab) -> Iterator[Table]:
    """Yield the costs of each kind of view."""
    items = 10_000 if lab.quick else ITEMS
    lab.tell(f"views: {items:,} items")
    url = lab.inventory("views", items)
    with lab.serve(url) as application:
        rows = asyncio.run(_all_views(lab, application, url))
    yield _costs_of_each(items, rows)
    yield asyncio.run(_many_views(lab, url))


def _costs_of_each(items: int, rows: list[tuple[Cell, ...]]) -> Table:
    return Table(
        f"Views: {items:,} items",
        ("view", "page open, p50 ms", "change to socket, p50 ms", "p99 ms"),
        tuple(rows),
        "The page: request to response, without what it links to. The change: from the return of the commit of a row"
        " shown until the frame with it.",
    )


async def _all_views(lab: Lab, application: Application, url: str) -> list[tuple[Cell, ...]]:
    with closing(Writer(url)) as writer:
        rows: list[tuple[Cell, ...]] = []
        for name, query in VIEWS.items():
            lab.tell(f"views: {name}")
            rows.append((name, *await costs(application, writer, query, changes=2 if lab.quick else 12)))
        return rows


async def costs(application: Application, writer: Writer, query: str, changes: int) -> tuple[float | None, ...]:
    """Return the milliseconds to open a page, and from a change to its socket: median and 99th percentile."""
    opened = [await open_page(application, query) for _ in range(OPENINGS)]
    async with AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(watch(application.port, query, opened[-1].hello))
        committed = await writer.change_often(opened[-1].item_id, changes)
    delays = delays_ms(committed, watcher.seen_at)
    return percentile([each.seconds * 1000 for each in opened], 0.5), percentile(delays, 0.5), percentile(delays, 0.99)


async def _many_views(lab: Lab, url: str) -> Table:
    """Count what one change makes the application do, in this process, while many look at different views."""
    lab.tell(f"views: {len(MANY):,} at once")
    rows: list[tuple[Cell, ...]] = []
    with counted_work() as work, serve(url) as server, psycopg.connect(url, autocommit=True) as database:
        async with AsyncExitStack() as stack:
            views = [await stack.enter_async_context(watch(server.port, query, HELLO)) for query in MANY]
            await until(lambda: all(view.tables for view in views), within_s=60)
            for name, statement in CHANGES.items():
                await asyncio.sleep(CALM_S)
                work.clear()
                told_before = [view.tables for view in views]
                await asyncio.to_thread(database.execute, statement)
                await asyncio.sleep(SETTLE_S)
                told = sum(view.tables > before for view, before in zip(views, told_before, strict=True))
                done = work.queries["view_items"], work.queries.total(), work.renders.total(), work.frames.total()
                rows.append((name, float(told), *map(float, done)))
    return Table(
        f"Views: one change while {len(MANY)} different ones are open",
        ("change", "views it alters", "row queries", "all queries", "templates rendered", "frames built"),
        tuple(rows),
        "Every page also shows the totals and the newest changes, which are one view that all share.",
    )
