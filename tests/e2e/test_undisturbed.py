"""What live changes leave alone: what is typed, the focus, and rows that are held."""

import psycopg
from playwright.sync_api import Page, expect

from tests.e2e.conftest import open_live
from tests.e2e.editing import QUANTITY, edit, next_beat, save
from tests.factories import make_item
from tests.server import LiveServer


def test_typing_survives_whatever_happens_to_the_row(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    for name in ("apples", "bananas", "cherries"):
        make_item(database, name=name, quantity=10)
    open_live(page, f"{server.url}/?q=a")
    edit(page)
    page.locator("#edit-location").press_sequentially("Shel")
    database.execute("UPDATE inventory SET quantity = 11 WHERE name = 'apples'")
    expect(page.locator(QUANTITY).first).to_have_text("11")
    database.execute("UPDATE inventory SET name = 'zulu a' WHERE name = 'apples'")
    expect(page.locator('#rows td[data-field="name"]').last).to_have_text("zulu a")
    database.execute("UPDATE inventory SET name = 'plums' WHERE name = 'zulu a'")
    expect(page.locator("#rows tr")).to_have_count(1)
    page.keyboard.type("f 7")
    expect(page.locator("#edit-location")).to_have_value("Shelf 7")
    database.execute("DELETE FROM inventory WHERE name = 'plums'")
    save(page)
    expect(page.locator("#editor-message")).to_contain_text("no longer in the inventory")
    expect(page.locator("#edit-location")).to_have_value("Shelf 7")


def test_hold_freezes_the_rows_counts_and_releases(
    server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page
) -> None:
    for name in ("apples", "bananas", "cherries"):
        make_item(database, name=name, quantity=10)
    for each in (page, other_page):
        open_live(each, server.url)
    page.get_by_label("Hold").check()
    expect(page.locator("#waiting")).to_have_text("Nothing is waiting")
    database.execute("UPDATE inventory SET quantity = 11 WHERE name = 'apples'")
    expect(page.locator("#waiting")).to_have_text("1 change waiting")
    make_item(database, name="aardvarks", quantity=1)
    expect(page.locator("#waiting")).to_have_text("2 changes waiting")
    expect(other_page.locator("#rows tr")).to_have_count(4)
    expect(page.locator(QUANTITY)).to_have_text(["10", "10", "10"])
    expect(page.locator('#totals [data-total="items"]')).to_have_text("4")
    page.evaluate("document.querySelector('#rows tr').marked = true")
    page.get_by_label("Hold").uncheck()
    expect(page.locator(QUANTITY)).to_have_text(["1", "11", "10", "10"])
    expect(page.locator("#waiting")).to_be_hidden()
    assert page.evaluate("document.querySelector('#rows tr:nth-child(2)').marked") is True


def test_no_live_swap_takes_the_focus_away(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="apples", quantity=10)
    open_live(page, server.url)
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#new-name")).to_be_focused()
    edit(page)
    page.locator("#edit-location").focus()
    next_beat(page)
    expect(page.locator("#edit-location")).to_be_focused()
    page.locator("#edit-location").fill("Shelf 1")
    save(page)
    expect(page.get_by_role("button", name="Edit apples")).to_be_focused()
    expect(page.locator("#rows [autofocus]")).to_have_count(0)
    page.locator("#q").focus()
    next_beat(page)
    make_item(database, name="aardvarks")
    expect(page.locator("#rows tr")).to_have_count(2)
    expect(page.locator("#q")).to_be_focused()


def test_held_rows_are_not_fetched_afresh(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="apples", quantity=10)
    open_live(page, server.url)
    animation = "() => getComputedStyle(document.querySelector('.watchdog')).animationName"
    assert "watch" in page.evaluate(animation)
    page.get_by_label("Hold").check()
    assert page.evaluate(animation) == "none"
