from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.factories import make_item
from tests.server import LiveServer


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    """A browser that runs no scripts."""
    context = browser.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_everything_works_by_plain_links_and_forms(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="pears", quantity=3, location="Shelf 2")
    page.goto(server.url)
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("#connection")).to_be_hidden()

    page.locator("#new-name").fill("apples")
    page.locator("#new-quantity").fill("twelve")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#new-quantity-error")).to_contain_text("whole number")
    expect(page.locator("#new-name")).to_have_value("apples")
    page.locator("#new-quantity").fill("12")
    page.get_by_role("button", name="Add").click()
    expect(page).to_have_url(f"{server.url}/")
    expect(page.locator('#rows td[data-field="name"]')).to_have_text(["apples", "pears"])

    page.get_by_label("Search").fill("pear")
    page.get_by_role("button", name="Search").click()
    expect(page.locator('#rows td[data-field="name"]')).to_have_text(["pears"])
    page.get_by_role("button", name="Take 1: pears").click()
    expect(page.locator('#rows td[data-field="quantity"]')).to_have_text(["2"])
    expect(page.get_by_label("Search")).to_have_value("pear")

    page.get_by_role("link", name="Quantity").click()
    page.get_by_role("link", name="Delete pears").click()
    expect(page.get_by_role("heading", name="Delete “pears”?")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator('#rows td[data-field="name"]')).to_have_text(["apples"])


def test_what_cannot_be_done_is_said_on_a_page(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="pears", quantity=0)
    page.goto(server.url)
    page.get_by_role("button", name="Take 1: pears").click()
    expect(page.get_by_text("Only 0 of “pears” in stock")).to_be_visible()
    page.get_by_role("link", name="Back to the items").click()
    expect(page.locator("#rows tr")).to_have_count(1)
