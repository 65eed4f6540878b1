from collections.abc import Callable

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import open_live
from tests.e2e.test_accessibility import SCHEMES, assert_accessible
from tests.e2e.test_watch import assert_not_reloaded, mark
from tests.factories import make_item
from tests.server import LiveServer


@pytest.fixture
def apples(database: psycopg.Connection) -> int:
    return make_item(database, name="apples", quantity=10, unit="kg", location="Cellar", reorder_level=5)


def test_an_items_page_follows_psql_in_two_browsers(
    server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page, apples: int
) -> None:
    pears = make_item(database, name="pears", quantity=10)
    for each in (page, other_page):
        open_live(each, f"{server.url}/items/{apples}")
        mark(each)
    other = page.context.new_page()
    open_live(other, f"{server.url}/items/{pears}")
    drawn = page.locator(".chart .steps").get_attribute("d")
    database.execute("SET application_name = 'psql'")
    database.execute("UPDATE inventory SET quantity = 4 WHERE name = 'apples'")
    for each in (page, other_page):
        expect(each.locator("#fact-quantity b")).to_have_text("4")
        expect(each.locator("#item-head .badge")).to_have_text("low stock")
        expect(each.locator("#history li")).to_have_count(2)
        expect(each.locator("#history li").first).to_contain_text("10 → 4")
        expect(each.locator("#fact-cover")).to_contain_text("6 used in 1 day")
        assert_not_reloaded(each)
    assert page.locator(".chart .steps").get_attribute("d") != drawn
    expect(page.locator("#fact-quantity dd").first).to_have_class("changed-a")
    expect(page.locator("#fact-location dd")).not_to_have_class("changed-a")
    expect(other.locator("#history li")).to_have_count(1)


def test_the_title_follows_what_is_low_and_what_an_item_is_called(
    server: LiveServer, database: psycopg.Connection, page: Page, apples: int
) -> None:
    open_live(page, server.url)
    expect(page).to_have_title("Inventory")
    database.execute("UPDATE inventory SET quantity = 3")
    expect(page).to_have_title("(1 low) Inventory")
    database.execute("UPDATE inventory SET quantity = 30")
    expect(page).to_have_title("Inventory")
    open_live(page, f"{server.url}/items/{apples}")
    expect(page).to_have_title("apples · Inventory")
    database.execute("UPDATE inventory SET name = '<pears> & plums'")
    expect(page).to_have_title("<pears> & plums · Inventory")


def test_taking_and_undoing_on_the_items_page(server: LiveServer, page: Page, apples: int) -> None:
    open_live(page, f"{server.url}/items/{apples}")
    mark(page)
    page.get_by_role("button", name="Take 1").click()
    expect(page.locator("#fact-quantity b")).to_have_text("9")
    page.locator("#history li").first.get_by_role("button", name="Undo").click()
    expect(page.locator("#fact-quantity b")).to_have_text("10")
    expect(page.locator("#history li").nth(1)).to_contain_text("undone")
    expect(page.locator("#history li").nth(1).get_by_role("button")).to_have_count(0)
    assert_not_reloaded(page)


def test_the_dialog_edits_an_item_on_its_page_and_the_page_follows(server: LiveServer, page: Page, apples: int) -> None:
    open_live(page, f"{server.url}/items/{apples}")
    mark(page)
    for quantity in ("77", "78"):
        page.get_by_role("button", name="Edit").click()
        page.locator("#edit-quantity").fill(quantity)
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#editor")).to_be_hidden()
        expect(page.locator("#fact-quantity b")).to_have_text(quantity)
        expect(page.get_by_role("button", name="Edit")).to_be_focused()
    assert_not_reloaded(page)


def test_an_item_that_is_deleted_says_so_and_comes_back(
    server: LiveServer, database: psycopg.Connection, page: Page, apples: int
) -> None:
    open_live(page, f"{server.url}/items/{apples}")
    mark(page)
    database.execute("DELETE FROM inventory")
    expect(page.locator("#item-head .gone")).to_contain_text("Deleted.")
    expect(page).to_have_title("apples (deleted) · Inventory")
    expect(page.get_by_role("button", name="Take 1")).to_have_count(0)
    page.get_by_role("button", name="Bring it back").click()
    expect(page.get_by_role("button", name="Take 1")).to_be_visible()
    expect(page.locator("#history li")).to_have_count(3)
    assert_not_reloaded(page)


def test_an_items_page_resumes_after_a_lost_connection(
    server: LiveServer, database: psycopg.Connection, page: Page, apples: int
) -> None:
    open_live(page, f"{server.url}/items/{apples}")
    mark(page)
    page.context.set_offline(True)
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%listener'")
    database.execute("UPDATE inventory SET quantity = 8")
    page.context.set_offline(False)
    expect(page.locator("#fact-quantity b")).to_have_text("8")
    assert_not_reloaded(page)


def test_the_feed_groups_a_transaction_and_leads_to_its_changes(
    server: LiveServer, database: psycopg.Connection, page: Page, apples: int
) -> None:
    open_live(page, server.url)
    database.execute("SET application_name = 'nightly-import'")
    database.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || n, 1 FROM generate_series(1, 412) AS n")
    first = page.locator("#activity li").first
    expect(first).to_contain_text("nightly-import added 412 items")
    first.get_by_role("link", name="412 items").click()
    expect(page.locator(".log li")).to_have_count(50)
    expect(page.locator(".note")).to_contain_text("Only what transaction")


def test_undo_in_the_feed_is_told_on_every_page(
    server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page, apples: int
) -> None:
    database.execute("UPDATE inventory SET quantity = 7")
    for each in (page, other_page):
        open_live(each, server.url)
    page.locator("#activity li").first.get_by_role("button", name="Undo").click()
    for each in (page, other_page):
        expect(each.locator(f'#item-{apples} td[data-field="quantity"]')).to_have_text("10")
        expect(each.locator("#activity li").nth(1)).to_contain_text("undone")


def test_without_javascript_one_stays_on_the_items_page(
    server: LiveServer, browser: Browser, apples: int, quiet_console: list[str]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server.url}/items/{apples}")
    page.get_by_role("button", name="Take 1").click()
    expect(page).to_have_url(f"{server.url}/items/{apples}")
    expect(page.locator("#fact-quantity b")).to_have_text("9")
    page.get_by_role("button", name="Undo").first.click()
    expect(page.locator("#fact-quantity b")).to_have_text("10")
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Location").fill("Shelf 2")
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(f"{server.url}/items/{apples}")
    page.get_by_role("link", name="All changes").click()
    expect(page.locator(".log li")).to_have_count(4)
    page.get_by_label("How").fill("page")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".log li")).to_have_count(3)
    page.locator(".log li").first.get_by_role("button", name="Undo").click()
    expect(page.locator(".log li")).to_have_count(4)
    assert page.url.endswith("how=page&from=&to="), "it came back to what was looked for"
    context.close()


def on_item(page: Page, server: LiveServer) -> None:
    open_live(page, f"{server.url}/items/1")


def on_deleted_item(page: Page, server: LiveServer) -> None:
    open_live(page, f"{server.url}/items/2")


def on_activity(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/activity?item=a&from=nonsense&tx=")
    expect(page.locator(".complaints")).to_be_visible()


def on_order_list(page: Page, server: LiveServer) -> None:
    page.goto(f"{server.url}/low")


@pytest.mark.parametrize("state", [on_item, on_deleted_item, on_activity, on_order_list])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    server: LiveServer, database: psycopg.Connection, page: Page, state: Callable[[Page, LiveServer], None]
) -> None:
    long = {"unit": "u" * 40, "location": "l" * 200, "code": "c" * 64, "reorder_level": 2**63 - 1}
    make_item(database, name="a" * 200, quantity=2**62, **long)
    make_item(database, name="pears", quantity=3)
    database.execute("UPDATE inventory SET quantity = 0, unit = repeat('v', 40) WHERE id = 1")
    database.execute("DELETE FROM inventory WHERE name = 'pears'")
    page.emulate_media(reduced_motion="reduce")
    state(page, server)
    for width in (1280, 960, 768, 360, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"sideways at {width} pixels"
        for scheme in SCHEMES[: 2 if width in (1280, 360) else 0]:
            page.emulate_media(color_scheme=scheme)
            assert_accessible(page)
