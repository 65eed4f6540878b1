"""How soon a committed change is in another program's socket, and in another person's page."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from select import select

import psycopg
from playwright.async_api import Page, async_playwright

from tests import browser
from tests.benchmarks import pgbench
from tests.benchmarks.figures import Cell, Table, percentile
from tests.benchmarks.lab import Application, Lab
from tests.benchmarks.probe import Writer, delays_ms, open_page, watch
from tests.benchmarks.writers import OURS, TUTORIAL, databases

LOADS = (0, 500, 2_000)  # committed changes a second, by other writers
LOAD_WRITERS = 8
LOAD_LIMIT_S = 120
IN_A_HURRY = 32

# Notes when a number first stands in the table, in ms since 1970; the page itself has no script of ours.
_OBSERVER = r"""() => {
    window.seenAt = {};
    new MutationObserver(() => {
        const now = performance.timeOrigin + performance.now();
        for (const [, number] of document.getElementById("rows").textContent.matchAll(/@(\d+)@/g))
            window.seenAt[number] ??= now;
    }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def measure(lab: Lab) -> Iterator[Table]:
    """Yield the delays of the notification, then those of the page."""
    yield _notifications(lab)
    yield asyncio.run(_pages(lab))


def _notifications(lab: Lab) -> Table:
    rows: list[tuple[Cell, ...]] = []
    changes = 30 if lab.quick else 200
    with databases(lab) as urls:
        for load in ("calm", f"{IN_A_HURRY} writers"):
            for name in (TUTORIAL, OURS):
                lab.tell(f"latency: commit to listener, {load}, {name}")
                with ExitStack() as stack:
                    if load != "calm":
                        stack.enter_context(pgbench.running(urls[name], IN_A_HURRY, 60))
                        time.sleep(1)
                    delays = _heard_after_ms(urls[name], changes)
                rows.append((f"{name}, {load}", percentile(delays, 0.5), percentile(delays, 0.99), float(len(delays))))
    return Table(
        "Latency: commit to listener",
        ("trigger, load", "p50 ms", "p99 ms", "changes heard"),
        tuple(rows),
        "From the return of the commit until a connection that listens has read the notification.",
    )


def _heard_after_ms(url: str, changes: int) -> list[float]:
    delays = []
    with psycopg.connect(url, autocommit=True) as writer, psycopg.connect(url, autocommit=True) as listener:
        listener.execute("LISTEN messages_channel")
        for number in range(10**12, 10**12 + 1000 * changes, 1000):  # the load counts up, and must not get there first
            writer.execute("UPDATE inventory SET quantity = %s WHERE id = 1", [number])
            committed_at = time.perf_counter()
            if _hear(listener, str(number).encode(), committed_at + 2):
                delays.append((time.perf_counter() - committed_at) * 1000)
            _hear(listener, b"nothing", time.perf_counter() + 0.02)
    return delays


def _hear(listener: psycopg.Connection, wanted: bytes, until: float) -> bool:
    """Read notifications, by libpq itself so that thousands a second are no burden, until one has what is wanted."""
    while (left := until - time.perf_counter()) > 0:
        ready, _, _ = select([listener], [], [], left)
        if ready:
            listener.pgconn.consume_input()
        while notification := listener.pgconn.notifies():
            if wanted in notification.extra:
                return True
    return False


async def _pages(lab: Lab) -> Table:
    rows: list[tuple[Cell, ...]] = []
    url = lab.inventory("latency", pgbench.ROWS)
    with lab.serve(url) as application, closing(Writer(url)) as writer:
        async with _chromium(lab) as page:
            if page:
                await page.goto(application.url)
                await page.locator("#rows[data-same]").wait_for(state="attached")
                await page.evaluate(_OBSERVER)
            for rate in LOADS:
                name = f"{rate:,} changes/s" if rate else "idle"
                lab.tell(f"latency: commit to page, {name}")
                with _load(url, rate):
                    rows.append((name, *await _follow(lab, application, writer, page)))
    return Table(
        "Latency: commit to page",
        ("load", "socket p50 ms", "p99 ms", "DOM p50 ms", "DOM p99 ms", "frames/s", "processor of the server"),
        tuple(rows),
        "From the return of the commit until the row's new value is in a WebSocket client, and in Chromium's document;"
        " frames a second to one page. Both pages, the writers and PostgreSQL share this machine.",
    )


@contextmanager
def _load(url: str, rate: int) -> Iterator[None]:
    with ExitStack() as stack:
        if rate:
            stack.enter_context(pgbench.running(url, LOAD_WRITERS, LOAD_LIMIT_S, rate=rate))
            time.sleep(1)
        yield


async def _follow(lab: Lab, application: Application, writer: Writer, page: Page | None) -> tuple[float | None, ...]:
    """Return the columns of `_pages` for a run of changes."""
    opened = await open_page(application)
    async with watch(application.port, "", opened.hello) as watcher:
        await asyncio.sleep(1)
        frames, used_s, started_at = watcher.frames, application.program.cpu_s(), time.monotonic()
        committed = await writer.change_often(opened.item_id, changes=6 if lab.quick else 40)
        seconds = time.monotonic() - started_at
        per_second = (watcher.frames - frames) / seconds, (application.program.cpu_s() - used_s) / seconds
    shown = await page.evaluate("() => window.seenAt") if page else {}
    to_socket = delays_ms(committed, watcher.seen_at)
    to_dom = delays_ms(committed, {int(number): at / 1000 for number, at in shown.items()})
    return *(percentile(delays, share) for delays in (to_socket, to_dom) for share in (0.5, 0.99)), *per_second


@asynccontextmanager
async def _chromium(lab: Lab) -> AsyncIterator[Page | None]:
    """Give a page of the Chromium that this machine has, None if it has none."""
    path = await asyncio.to_thread(browser.find)
    if path is None:
        lab.leave_out("a Chromium, for the delay to the DOM (python -m tests.browser installs one)")
        yield None
        return
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=path or None, args=browser.chromium_arguments())
        yield await chromium.new_page()
        await chromium.close()
