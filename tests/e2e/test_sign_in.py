"""Signing in, watching, and being shown out, in a browser."""

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.accounts import PASSWORD, make_account, on, wait_until_closed
from tests.e2e.conftest import wait_until_live
from tests.factories import make_item
from tests.server import LiveServer
from webapp.access import sessions


def assert_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


@pytest.fixture
def guarded(server: LiveServer, database_url: str) -> LiveServer:
    make_account(database_url, "Ada", "admin", PASSWORD)
    wait_until_closed(server)
    return server


def sign_in(page: Page, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def test_a_viewer_watches_until_signed_out(
    page: Page, guarded: LiveServer, database: psycopg.Connection, database_url: str
) -> None:
    make_item(database, name="apples", quantity=3)
    viewer = make_account(database_url, "Grace", "viewer", PASSWORD)
    page.goto(f"{guarded.url}/?q=app")
    assert_accessible(page)
    sign_in(page, "Grace")
    wait_until_live(page)
    assert page.url == f"{guarded.url}/?q=app"
    expect(page.get_by_role("button", name="Take 1: apples")).to_be_hidden()
    expect(page.locator("#new-item")).to_be_hidden()
    database.execute("UPDATE inventory SET quantity = 4")
    expect(page.locator('[data-field="quantity"]')).to_have_text("4")
    on(database_url, sessions.close_sessions, viewer.id)
    page.get_by_role("link", name="Signed out. Sign in again").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_admin_invites_and_sees_who_is_there(page: Page, other_page: Page, guarded: LiveServer) -> None:
    page.goto(f"{guarded.url}/accounts")
    sign_in(page, "Ada")
    page.get_by_label("Name").fill("Tim")
    page.get_by_role("button", name="Create a link").click()
    assert_accessible(page)
    other_page.goto(page.locator(".secret").inner_text())
    assert_accessible(other_page)
    other_page.get_by_label("Choose a password").fill(PASSWORD)
    other_page.get_by_role("button", name="Save and sign in").click()
    wait_until_live(other_page)
    other_page.get_by_role("link", name="Tim").first.click()
    assert_accessible(other_page)
