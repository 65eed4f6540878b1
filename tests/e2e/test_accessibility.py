from collections.abc import Callable
from typing import Literal

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import hurry, open_live
from tests.factories import make_item
from tests.server import LiveServer


def assert_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def with_items(page: Page, server: LiveServer) -> None:
    open_live(page, server.url)
    expect(page.locator("#rows tr")).not_to_have_count(0)


def with_errors(page: Page, server: LiveServer) -> None:
    open_live(page, server.url)
    page.locator("#new-item button").click()
    expect(page.locator("#new-name-error")).to_be_visible()


def with_message(page: Page, server: LiveServer) -> None:
    open_live(page, server.url)
    page.get_by_role("button", name="Take 1: pears").click()
    expect(page.locator("#message p")).to_be_visible()


def without_matches(page: Page, server: LiveServer) -> None:
    open_live(page, f"{server.url}/?q=nothing&sort=colour")


def while_stale(page: Page, server: LiveServer) -> None:
    page.route_web_socket("**/live*", lambda socket: None)
    page.goto(server.url)
    hurry(page)
    expect(page.locator("#connection .stale")).to_be_visible()


def status(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/status")
    expect(page.locator("#connection .live")).to_be_visible()


def deleting(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/items/1/delete")


def lost(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/nowhere")


@pytest.fixture(scope="module")
def stocked(shared_server: LiveServer, shared_url: str) -> LiveServer:
    with psycopg.connect(shared_url, autocommit=True) as database:
        make_item(database, name="apples", quantity=1, unit="boxes", location="Shelf 1", reorder_level=5)
        make_item(database, name="pears", quantity=0)
    return shared_server


SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
STATES = [with_items, with_errors, with_message, without_matches, while_stale, status, deleting, lost]


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(stocked: LiveServer, page: Page, state: Callable[[Page, LiveServer], None]) -> None:
    page.emulate_media(reduced_motion="reduce")
    state(page, stocked)
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"sideways at {width} pixels"
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert_accessible(page)


def test_an_empty_inventory_is_accessible_too(server: LiveServer, page: Page) -> None:
    open_live(page, server.url)
    assert_accessible(page)


def test_lists_of_several_pages_are_accessible_too(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    database.execute("INSERT INTO inventory (name, quantity) SELECT n, n FROM generate_series(1, 101) AS n")
    for address in ("/?page=3", "/activity"):
        page.goto(f"{server.url}{address}")
        expect(page.get_by_role("navigation", name="Pages of")).to_be_visible()
        assert_accessible(page)


def test_everything_is_reached_by_keyboard_in_a_sensible_order(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="apples", quantity=1)
    open_live(page, server.url)
    reached: list[str] = []
    while "new-name" not in reached:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert ring != "none", f"no visible focus on {reached[-1]}"
    wanted = ["skip", "brand", "q", "location", "low", "sort-name", "take-1", "put-1", "delete-1", "new-name"]
    assert [name for name in reached if name in wanted] == wanted


@pytest.mark.parametrize("tells_ages", [True, False])
def test_320_pixels_do_not_scroll_sideways(
    server: LiveServer, database: psycopg.Connection, page: Page, *, tells_ages: bool
) -> None:
    make_item(database, name="a" * 200, quantity=9223372036854775807, unit="u" * 40, location="l" * 200)
    make_item(database, name="bolts", quantity=123_456_789, unit="boxes", location="l" * 40, reorder_level=1_234_567)
    make_item(database, name="cable", quantity=5, unit="m", location="Storage north, shelf 7", reorder_level=10)
    if not tells_ages:
        page.route("**/app.css", _without_typed_attr)
    page.set_viewport_size({"width": 320, "height": 640})
    open_live(page, server.url)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    places = page.locator('#rows [data-field="location"]').all()
    assert min(place.evaluate("it => it.clientWidth") for place in places) > 50  # not one letter below the other


def _without_typed_attr(route: Route) -> None:
    """Answer with the stylesheet as browsers see it that cannot say how long ago something was."""
    sheet = route.fetch().text().replace("(order: attr(data-at type(<integer>)))", "(order: unknown)")
    route.fulfill(body=sheet, content_type="text/css")
