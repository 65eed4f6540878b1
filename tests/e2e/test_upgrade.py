"""A new version goes into service under open pages."""

import shutil
import signal
from pathlib import Path

import psycopg
from playwright.sync_api import Page, expect

from tests.command import serving
from tests.e2e.conftest import open_live, wait_until_live
from tests.factories import make_item
from webapp.settings import RESOURCES


def test_an_open_page_says_that_there_is_a_new_version_and_loses_nothing(
    database_url: str, database: psycopg.Connection, page: Page, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    for name in ("webapp", "templates", "static", "sql"):
        shutil.copytree(RESOURCES / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    with serving(database_url, tmp_path / "log", "--workers", "2", source=checkout) as server:
        open_live(page, server.url)
        expect(page.locator("#version")).to_be_hidden()
        page.locator("#new-name").fill("typed before")
        base = checkout / "templates" / "base.html"
        base.write_text(base.read_text().replace(" Live Inventory</a>", " Newer Inventory</a>"))
        server.process.send_signal(signal.SIGHUP)
        expect(page.locator("#version")).to_have_text("New version: reload", timeout=30_000)
        server.wait_for(4)
        make_item(database, name="apples", quantity=3)
        expect(page.locator("#rows")).to_contain_text("apples")
        expect(page.locator("#new-name")).to_have_value("typed before")
        page.locator("#search #q").fill("apples")
        expect(page).to_have_url(f"{server.url}/?q=apples")
        expect(page.locator("#version")).to_be_visible()
        page.get_by_role("link", name="reload").click()
        expect(page.locator(".brand")).to_have_text("Newer Inventory")
        wait_until_live(page)
        expect(page.locator("#version")).to_be_hidden()
