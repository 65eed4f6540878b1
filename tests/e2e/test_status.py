import re

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import eventually_in, open_live
from tests.e2e.test_receipts import change_again
from tests.factories import make_item
from tests.proxy import network_before
from tests.server import LiveServer, serve
from webapp.operations import status, vitals


def sign(label: str) -> str:
    return f"#status-signs div:has(dt:text-is('{label}'))"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time run twenty times as fast for the status page."""
    monkeypatch.setattr(status, "REFRESH_S", 0.1)
    monkeypatch.setattr(vitals, "MARK_S", 0.25)


def test_the_status_page_follows_what_the_process_does(
    server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page
) -> None:
    open_live(other_page, server.url)
    other_page.get_by_role("link", name="Status").click()
    expect(other_page.locator("h1")).to_have_text("Status")
    expect(other_page.locator(sign("Open pages"))).to_contain_text("1")
    open_live(page, server.url)
    expect(other_page.locator(sign("Open pages"))).to_contain_text("2")
    expect(other_page.locator(sign("Change feed"))).to_contain_text("fresh")
    expect(other_page.locator("#status-signs .bad")).to_have_count(0)
    make_item(database, name="apples", quantity=10)
    eventually_in(page, lambda: change_again(server, database).recent)
    expect(other_page.locator(sign("Changes a second"))).not_to_contain_text(" 0 changes told")
    expect(other_page.locator("#latency-text")).to_contain_text("99 of 100 at most")
    expect(other_page.locator("#status-latency path.steps")).to_have_attribute("d", re.compile("^M"))


def test_a_feed_that_falls_silent_is_told_on_every_page_while_the_server_lives(
    database_url: str, database: psycopg.Connection, page: Page, other_page: Page
) -> None:
    """The server answers, and reads the database; only its feed hears nothing any more."""
    make_item(database, name="apples", quantity=10)
    with network_before(database_url) as (url, network), serve(database_url, listen_database_url=url) as server:
        open_live(page, server.url)
        other_page.goto(f"{server.url}/status")
        expect(other_page.locator("#connection .live")).to_be_visible()
        network.stall()
        database.execute("UPDATE inventory SET quantity = 3")
        for each in (page, other_page):
            expect(each.locator("#connection .stale")).to_be_visible(timeout=10_000)
        expect(other_page.locator(f"{sign('Change feed')}.bad")).to_contain_text("silent")
        network.mend()
        expect(page.locator('#rows td[data-field="quantity"]')).to_have_text("3")
        expect(page.locator("#connection .stale")).to_be_hidden()
