"""What a browser fetches before it shows the first page, and what moves while it does."""

import psycopg
from playwright.sync_api import Page, Response

from tests.e2e.conftest import open_live
from tests.factories import make_item
from tests.server import LiveServer

WATCH = """window.moved = 0;
new PerformanceObserver(list => list.getEntries().forEach(entry => window.moved += entry.value))
    .observe({type: 'layout-shift', buffered: true})"""
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(window.moved))))"


def test_the_first_page_is_a_document_and_three_files_all_compressed_and_the_files_kept_for_ever(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    for number in range(60):
        make_item(database, name=f"item {number:02}", quantity=number, unit="boxes", location=f"Shelf {number}")
    first: dict[str, Response] = {}  # the icon is asked for twice, for the page and for its tab, and fetched once

    def note(answer: Response) -> None:
        first.setdefault(answer.url, answer)

    page.on("response", note)
    open_live(page, server.url)
    assert page.locator("#rows tr").count() == 50
    answers = {answer.request.resource_type: answer for answer in first.values()}
    assert len(answers) == len(first)
    assert answers.keys() == {"document", "stylesheet", "script", "image"}
    assert {answer.headers.get("content-encoding") for answer in answers.values()} == {"gzip"}
    sizes = [answer.request.sizes() for answer in answers.values()]
    assert sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes) < 60_000
    assert answers.pop("document").headers["cache-control"] == "no-cache"
    kept = {answer.headers["cache-control"] for answer in answers.values()}
    assert kept == {"public, max-age=31536000, immutable"}


def test_nothing_moves_while_the_page_loads_and_becomes_live(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    for number in range(60):
        make_item(database, name=f"item {number:02}", quantity=number, location=f"Shelf {number}")
    page.add_init_script(WATCH)
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for place in ("/", "/items/1"):
            open_live(page, f"{server.url}{place}")
            assert page.evaluate(DRAWN) == 0, f"{place} at {width} pixels"
    page.evaluate("document.querySelector('.bar').after(document.createElement('hr'))")
    page.wait_for_function("() => window.moved > 0")
