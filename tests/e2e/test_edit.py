import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import open_live
from tests.e2e.editing import QUANTITY, edit, next_beat, save
from tests.e2e.test_accessibility import assert_accessible
from tests.factories import make_item
from tests.server import LiveServer, serve


def test_the_dialog_edits_every_field_and_gives_the_focus_back(
    server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page
) -> None:
    make_item(database, name="apples", quantity=10)
    for each in (page, other_page):
        open_live(each, server.url)
    edit(page)
    values = {
        "name": "Äpfel",
        "quantity": "8",
        "unit": "kg",
        "location": "Shelf 2",
        "reorder_level": "3",
        "code": "A-1",
    }
    for name, value in values.items():
        page.locator(f"#edit-{name}").fill(value)
    page.locator("#edit-reason").fill("counted")
    save(page)
    expect(page.locator("#editor")).to_be_hidden()
    expect(page.locator("#rows [commandfor]")).to_be_focused()
    expect(other_page.locator(QUANTITY)).to_have_text("8")
    row = database.execute("SELECT name, quantity, unit, location, reorder_level, code FROM inventory").fetchone()
    assert row == ("Äpfel", 8, "kg", "Shelf 2", 3, "A-1")
    assert database.execute("SELECT reason FROM inventory_changes ORDER BY id DESC").fetchone() == ("counted",)


def test_any_number_is_taken_or_put_with_a_reason(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="apples", quantity=10)
    open_live(page, server.url)
    edit(page)
    page.locator("#move-by").fill("11")
    page.get_by_role("button", name="Take", exact=True).click()
    expect(page.locator("#editor-message")).to_contain_text("Only 10 of “apples” in stock")
    expect(page.locator("#move-by")).to_have_value("11")
    page.locator("#move-by").fill("four")
    page.get_by_role("button", name="Take", exact=True).click()
    expect(page.locator("#editor-message")).to_contain_text("A whole number from 1")
    page.locator("#move-by").fill("4")
    page.locator("#move-reason").fill("spilt")
    page.get_by_role("button", name="Take", exact=True).click()
    expect(page.locator("#editor")).to_be_hidden()
    expect(page.locator(QUANTITY)).to_have_text("6")
    edit(page)
    page.locator("#move-by").fill("100")
    page.get_by_role("button", name="Put", exact=True).click()
    expect(page.locator(QUANTITY)).to_have_text("106")


def test_two_who_edit_the_same_field_see_both_values(
    server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page
) -> None:
    make_item(database, name="apples", quantity=10, location="A")
    for each in (page, other_page):
        open_live(each, server.url)
        edit(each)
    other_page.locator("#edit-quantity").fill("7")
    other_page.locator("#edit-location").fill("B")
    save(other_page)
    expect(page.locator(QUANTITY)).to_have_text("7")
    page.locator("#edit-quantity").fill("9")
    page.locator("#edit-unit").fill("kg")
    page.locator("#edit-reason").fill("recount")
    save(page)
    expect(page.locator('[data-theirs="quantity"]')).to_have_text("7")
    expect(page.locator('[data-yours="quantity"]')).to_have_text("9")
    expect(page.locator("[data-theirs]")).to_have_count(1)
    expect(page.locator("#edit-location")).to_have_value("B")
    assert_accessible(page)
    page.get_by_role("button", name="Use mine").click()
    expect(page.locator("#editor")).to_be_hidden()
    row = database.execute("SELECT quantity, unit, location FROM inventory").fetchone()
    assert row == (9, "kg", "B")
    assert database.execute("SELECT reason FROM inventory_changes ORDER BY id DESC").fetchone() == ("recount",)


def test_theirs_may_be_kept(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="apples", quantity=10)
    open_live(page, server.url)
    edit(page)
    database.execute("UPDATE inventory SET quantity = 7")
    page.locator("#edit-quantity").fill("9")
    save(page)
    page.get_by_role("link", name="Keep theirs").click()
    expect(page.locator(".conflict")).to_have_count(0)
    expect(page.locator("#edit-quantity")).to_have_value("7")


def test_errors_stand_in_the_dialog_beside_their_fields(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="apples", code="A-1")
    make_item(database, name="pears")
    open_live(page, server.url)
    edit(page, "pears")
    page.locator("#edit-code").fill("a-1")
    save(page)
    expect(page.locator("#edit-code-error")).to_contain_text("Another item has the code")
    page.locator("#edit-name").fill("")
    save(page)
    expect(page.locator("#edit-name-error")).to_be_visible()
    expect(page.locator("#edit-code")).to_have_value("a-1")
    page.keyboard.press("Escape")
    expect(page.locator("#editor")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dialog_is_accessible_and_fits_a_phone(
    server: LiveServer, database: psycopg.Connection, page: Page, scheme: str
) -> None:
    make_item(database, name="a" * 200, quantity=9223372036854775807, unit="u" * 40, location="l" * 200)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page.set_viewport_size({"width": 320, "height": 640})
    open_live(page, server.url)
    edit(page, "a" * 200)
    assert_accessible(page)
    assert page.evaluate("document.getElementById('editor').scrollWidth <= innerWidth")


def test_without_javascript_an_item_is_edited_on_a_page(
    server: LiveServer, database: psycopg.Connection, browser: Browser
) -> None:
    item = make_item(database, name="apples", quantity=10)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server.url}/items/{item}/edit")
    database.execute("UPDATE inventory SET quantity = 7")
    page.locator("#edit-quantity").fill("9")
    save(page)
    expect(page.locator('[data-theirs="quantity"]')).to_have_text("7")
    page.get_by_role("button", name="Use mine").click()
    expect(page).to_have_url(f"{server.url}/items/{item}")
    expect(page.locator("#fact-quantity b")).to_have_text("9")
    context.close()


def test_deleting_in_the_dialog_closes_it_without_a_complaint(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="apples", quantity=10)
    open_live(page, server.url)
    page.get_by_label("Hold").check()  # the row stays, and with it the button that the answer could put in its place
    edit(page)
    page.get_by_text("Delete this item").click()
    page.locator("#delete-reason").fill("rotten")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#editor")).to_be_hidden()
    expect(page.locator("#waiting")).to_have_text("1 change waiting")
    next_beat(page)
    expect(page.locator("#message")).to_be_empty()
    assert database.execute("SELECT reason FROM inventory_changes ORDER BY id DESC").fetchone() == ("rotten",)


def test_an_item_that_somebody_holds_is_told_of_in_the_dialog(
    monkeypatch: pytest.MonkeyPatch, database_url: str, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="apples", quantity=10)
    monkeypatch.setattr("webapp.postgres.pool.LOCK_LIMIT", "100ms")
    with serve(database_url) as server, database.transaction():
        open_live(page, server.url)
        edit(page)
        page.locator("#edit-quantity").fill("9")
        database.execute("SELECT FROM inventory FOR UPDATE")
        save(page)
        expect(page.locator("#editor-message")).to_contain_text("Somebody else is changing this item")
        expect(page.locator("#edit-quantity")).to_have_value("9")
