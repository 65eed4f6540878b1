"""A file from a spreadsheet: chosen, refused, corrected, previewed and applied, while another page watches."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import open_live
from tests.factories import make_item
from tests.server import LiveServer
from webapp.access.security import MAX_UPLOAD_BYTES

WRONG = "name;qty;location\nPencils;1,200;Shelf 3\nSugar;15;Pantry\nsugar;16;Pantry\n"
RIGHT = "name;qty;location\nPencils;1200;Shelf 3\nSugar;15;Pantry\n<b>Salt;4;\n"


def choose(page: Page, text: str) -> None:
    page.locator("#file").set_input_files(
        {"name": "stock.csv", "mimeType": "text/csv", "buffer": text.encode("utf-8-sig")}
    )
    page.get_by_role("button", name="Preview").click()


def assert_sound(page: Page, *, scripts: bool) -> None:
    """Nothing of the page is out of reach, for nobody."""
    page.set_viewport_size({"width": 320, "height": 700})
    if scripts:
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize(("scripts", "scheme"), [(True, "light"), (True, "dark"), (False, "light")])
def test_a_corrected_file_is_applied_and_another_page_shows_it_at_once(
    server: LiveServer, database: psycopg.Connection, browser: Any, other_page: Page, scheme: str, *, scripts: bool
) -> None:
    make_item(database, name="Pencils", quantity=100, location="Shelf 1")
    make_item(database, name="Sugar", quantity=15, location="Pantry")
    open_live(other_page, server.url)
    other_page.evaluate("window.stayed = true")
    context = browser.new_context(java_script_enabled=scripts, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{server.url}/import")
    assert_sound(page, scripts=scripts)

    choose(page, WRONG)
    expect(page.get_by_role("heading", name="stock.csv cannot be imported: 2 problems")).to_be_visible()
    expect(page.get_by_role("row", name="2 qty “1,200” may be thousands")).to_be_visible()
    expect(page.get_by_role("row", name="4 name Line 3 has the same name.")).to_be_visible()
    assert_sound(page, scripts=scripts)

    choose(page, RIGHT)
    expect(page.get_by_role("heading", name="stock.csv")).to_be_visible()
    expect(page.get_by_role("row", name="2 Pencils quantity 100 → 1200")).to_contain_text("location Shelf 1 → Shelf 3")
    expect(page.get_by_role("row", name="<b>Salt")).to_be_visible()
    assert_sound(page, scripts=scripts)
    expect(other_page.locator("#rows tr")).to_have_count(2)

    page.get_by_role("button", name="Apply to 2 items").click()
    expect(page.get_by_role("status")).to_contain_text("1 item added, 1 changed")
    assert_sound(page, scripts=scripts)
    expect(other_page.locator('#rows [data-field="quantity"]')).to_have_text(["4", "1200", "15"])
    assert other_page.evaluate("window.stayed")
    context.close()


def test_what_changed_after_the_preview_is_shown_before_it_is_written_over(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="Pencils", quantity=100)
    page.goto(f"{server.url}/import")
    choose(page, "name,qty\nPencils,120\n")
    expect(page.get_by_text("quantity 100 → 120")).to_be_visible()
    database.execute("UPDATE inventory SET quantity = 97")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("alert")).to_contain_text("The inventory has changed since")
    expect(page.get_by_text("quantity 97 → 120")).to_be_visible()
    assert_sound(page, scripts=True)
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_text("0 items added, 1 changed")).to_be_visible()


def test_a_file_that_is_too_large_is_told_on_a_page(server: LiveServer, page: Page, tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    with file.open("wb") as large:
        large.truncate(MAX_UPLOAD_BYTES)
    page.goto(f"{server.url}/import")
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("heading", name="Too large")).to_be_visible()


def test_export_downloads_the_items(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="Pencils", quantity=100)
    page.goto(f"{server.url}/import")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename.startswith("inventory-")
    assert "Pencils,100" in download.value.path().read_text("utf-8-sig")
