import psycopg
from playwright.sync_api import Dialog, Page, expect

from tests.e2e.conftest import open_live
from tests.factories import make_item
from tests.server import LiveServer


def test_an_item_is_added_by_keyboard_and_the_form_is_ready_for_the_next(
    server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page
) -> None:
    for each in (page, other_page):
        open_live(each, server.url)
    page.locator("#new-name").focus()
    for text in ("apples", "12", "boxes", "Shelf 3", "5"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#new-status")).to_have_text("Added apples")
    expect(page.locator("#new-name")).to_be_focused()
    expect(page.locator("#new-name")).to_have_value("")
    for each in (page, other_page):
        expect(each.locator("#rows tr")).to_contain_text(["apples"])
    row = database.execute("SELECT name, quantity, unit, location, reorder_level FROM inventory").fetchone()
    assert row == ("apples", 12, "boxes", "Shelf 3", 5)
    who = database.execute("SELECT source FROM inventory_changes").fetchone()
    assert who == ("page",)


def test_errors_stand_beside_their_fields_and_nothing_typed_is_lost(server: LiveServer, page: Page) -> None:
    open_live(page, server.url)
    page.locator("#new-unit").fill("a unit that is far too long for forty characters")
    page.locator("#new-quantity").fill("-3")
    page.evaluate("document.querySelector('#new-unit').removeAttribute('maxlength')")
    page.locator("#new-item button").click()
    expect(page.locator("#new-name-error")).to_have_text("Give the item a name.")
    expect(page.locator("#new-quantity-error")).to_contain_text("whole number")
    expect(page.locator("#new-name")).to_be_focused()
    expect(page.locator("#new-quantity")).to_have_value("-3")
    expect(page.locator("#new-quantity")).to_have_attribute("aria-describedby", "new-quantity-error")


def test_a_name_that_is_taken_is_refused_regardless_of_case(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="Äpfel", quantity=10)
    open_live(page, server.url)
    page.locator("#new-name").fill(" äPFEL ")
    page.locator("#new-quantity").fill("3")
    page.locator("#new-item button").click()
    expect(page.locator("#new-name-error")).to_contain_text("There is already an item")
    expect(page.locator("#new-quantity")).to_have_value("3")


def test_a_double_click_adds_one_item(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    open_live(page, server.url)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.method))
    page.locator("#new-name").fill("apples")
    page.locator("#new-quantity").fill("3")
    page.locator("#new-item button").dblclick()
    expect(page.locator("#new-status")).to_have_text("Added apples")
    assert requests.count("POST") == 1


def test_a_swap_of_the_table_leaves_what_is_being_typed(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="apples", quantity=10)
    open_live(page, server.url)
    page.locator("#new-name").press_sequentially("half a na")
    database.execute("UPDATE inventory SET quantity = 11")
    expect(page.locator('#rows td[data-field="quantity"]')).to_have_text("11")
    expect(page.locator("#new-name")).to_be_focused()
    page.keyboard.type("me")
    expect(page.locator("#new-name")).to_have_value("half a name")


def test_taking_and_putting_one(server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page) -> None:
    make_item(database, name="apples", quantity=1)
    for each in (page, other_page):
        open_live(each, server.url)
    page.get_by_role("button", name="Put 1: apples").click()
    for each in (page, other_page):
        expect(each.locator('#rows td[data-field="quantity"]')).to_have_text("2")
    expect(page.get_by_role("button", name="Put 1: apples")).to_be_focused()
    take = page.get_by_role("button", name="Take 1: apples")
    for left in ("1", "0"):
        take.click()
        expect(page.locator('#rows td[data-field="quantity"]')).to_have_text(left)
    take.click()
    expect(page.locator("#message")).to_contain_text("Only 0 of “apples” in stock: 1 cannot be taken.")
    page.get_by_role("button", name="Put 1: apples").click()
    expect(page.locator("#message")).to_be_empty()


def test_clicks_in_quick_succession_all_count(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="apples", quantity=0)
    open_live(page, server.url)
    page.get_by_role("button", name="Put 1: apples").click(click_count=5)
    expect(page.locator('#rows td[data-field="quantity"]')).to_have_text("5")


def test_a_focused_button_keeps_focus_when_its_row_moves(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    for name in ("apples", "bananas", "cherries"):
        make_item(database, name=name, quantity=1)
    open_live(page, server.url)
    button = page.get_by_role("button", name="Put 1: apples")
    button.focus()
    database.execute("UPDATE inventory SET name = 'zucchini' WHERE name = 'apples'")
    expect(page.locator('#rows td[data-field="name"]')).to_have_text(["bananas", "cherries", "zucchini"])
    expect(page.get_by_role("button", name="Put 1: zucchini")).to_be_focused()


def test_deleting_asks_first(server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page) -> None:
    make_item(database, name="apples", quantity=1)
    for each in (page, other_page):
        open_live(each, server.url)
    asked: list[str] = []

    def answer(*, yes: bool) -> None:
        def reply(dialog: Dialog) -> None:
            asked.append(dialog.message)
            dialog.accept() if yes else dialog.dismiss()

        page.once("dialog", reply)

    answer(yes=False)
    page.get_by_role("link", name="Delete apples").click()
    expect(page.locator("#rows tr")).to_have_count(1)
    answer(yes=True)
    page.get_by_role("link", name="Delete apples").click()
    for each in (page, other_page):
        expect(each.locator("#rows tr")).to_have_count(0)
    assert asked == ["Delete “apples”?"] * 2
    assert database.execute("SELECT count(*) FROM inventory").fetchone() == (0,)


def test_what_is_gone_is_told(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="apples", quantity=1)
    page.route_web_socket("**/live*", lambda socket: None)
    page.goto(server.url)
    database.execute("DELETE FROM inventory")
    page.get_by_role("button", name="Put 1: apples").click()
    expect(page.locator("#message")).to_contain_text("This item is no longer in the inventory.")
