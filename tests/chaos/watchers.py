"""Whoever watches: pages in raw clients and in browsers, what they claim, and whether it is what SELECT says."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import parse_qs

import psycopg
from playwright.async_api import Page as Tab
from playwright.async_api import async_playwright

from tests import browser
from tests.browserless import BrowserlessPage
from tests.chaos.world import World
from tests.chaos.writers import PULSE, Pulse

Chance = random.Random
Rows = list[tuple[str, int]]

STALE_AFTER_S = 3.2  # without a beat the style sheet shows the warning
HONEST_WITHIN_S = 5.0
PAGE_ROWS = 50

_ALL, _BY_NAME = "TRUE", 'inventory_fold(name) COLLATE "C"'
VIEWS: dict[str, tuple[str, str]] = {  # the address's query: which items it shows, and in which order
    "": (_ALL, _BY_NAME),
    "q=%21pulse": (f"name = '{PULSE}'", _BY_NAME),
    "q=1": ("strpos(inventory_fold(name), '1') > 0", _BY_NAME),
    "q=script&sort=-quantity": ("strpos(inventory_fold(name), 'script') > 0", "quantity DESC, id"),
    "low=1&sort=quantity": ("quantity <= reorder_level", "quantity, id"),
    "location=A&sort=-updated_at": ("location = 'A'", "updated_at DESC, id"),
    "sort=-quantity&page=2": (_ALL, "quantity DESC, id"),
    "page=1000000": (_ALL, _BY_NAME),
    "q=zzz": ("FALSE", _BY_NAME),
}
IN_BROWSERS = ("", "low=1&sort=quantity")
_READ = """() => [...document.querySelectorAll('#rows tr')].map(row =>
    ['name', 'quantity'].map(field => row.querySelector(`[data-field=${field}]`).textContent.trim()))"""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a page has to show."""

    rows: Rows
    matches: int
    totals: str


def truth(database: psycopg.Connection, query: str) -> Truth:
    """Ask the database, by a query of our own."""
    where, order = VIEWS[query]
    (items, units, low, matches), *_ = database.execute(
        f"SELECT count(*), coalesce(sum(quantity), 0), count(*) FILTER (WHERE quantity <= reorder_level),"
        f" count(*) FILTER (WHERE {where}) FROM inventory".encode()
    ).fetchall()
    last = max(1, -(-matches // PAGE_ROWS))
    page = min(int(parse_qs(query).get("page", ["1"])[0]), last)
    rows = database.execute(
        f"SELECT name, quantity FROM inventory WHERE {where} ORDER BY {order} LIMIT {PAGE_ROWS}"
        f" OFFSET {(page - 1) * PAGE_ROWS}".encode()
    ).fetchall()
    return Truth(rows, matches, f"Items {items} Units {units} Low stock {low}")


class Watcher:
    """A page in a raw client. One that is restless goes away at times, and comes back with what it showed."""

    def __init__(self, world: World, query: str, *, restless: bool) -> None:
        self.page = BrowserlessPage(world, query)
        self.is_restless = restless

    async def watch(self, chance: Chance) -> None:
        """Follow the view, or come and go, for ever."""
        while self.is_restless:
            with suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(0.5, 6)):
                    await self.page.follow()
            await asyncio.sleep(chance.uniform(0, 3))
        await self.page.follow()

    def age_s(self, pulse: Pulse) -> float:
        """Return how old what it shows is, if it claims to be live and nobody has removed the pulse."""
        numbers = [int(row["unit"]) for row in self.page.rows() if row["name"] == PULSE]
        claims_to_be_live = time.monotonic() - self.page.beat_at < STALE_AFTER_S
        return pulse.age_s(numbers[0]) if numbers and claims_to_be_live else 0.0

    def count_frames(self) -> int:
        """Return how many frames have come since the last call."""
        count = len(self.page.frames)
        self.page.frames.clear()
        return count

    def shows(self, wanted: Truth) -> bool:
        """Whether it shows what it has to."""
        page = self.page
        count = page.text("matches").split()[0]
        is_right = count == str(wanted.matches) or (count, wanted.matches) == ("No", 0)
        return page.items() == wanted.rows and is_right and page.text("totals") == wanted.totals


@asynccontextmanager
async def open_tabs(world: World, queries: Sequence[str]) -> AsyncIterator[dict[str, Tab]]:
    """Open each view in a Chromium of its own."""
    async with async_playwright() as playwright, AsyncExitStack() as stack:
        tabs: dict[str, Tab] = {}
        for query in queries:
            chromium = await playwright.chromium.launch(
                executable_path=browser.find() or None, args=browser.chromium_arguments()
            )
            stack.push_async_callback(chromium.close)
            tabs[query] = await chromium.new_page()
            await tabs[query].goto(f"{world.url}/?{query}")
        yield tabs


async def rows_in(tab: Tab) -> Rows:
    """Return the rows that a browser shows."""
    return [(name, int(quantity)) for name, quantity in await tab.evaluate(_READ)]
