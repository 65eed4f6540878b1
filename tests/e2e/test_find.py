import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import open_live, wait_until_live
from tests.factories import make_item
from tests.server import LiveServer
from tests.waiting import eventually

NAMES = '#rows td[data-field="name"]'


@pytest.fixture
def fruit(database: psycopg.Connection) -> None:
    make_item(database, name="apples", quantity=10, location="Shelf 1", reorder_level=20)
    make_item(database, name="Bananas", quantity=30, location="Shelf 2")
    make_item(database, name="cherries 100%", quantity=20, location="Shelf 1")


@pytest.mark.usefixtures("fruit")
def test_a_search_stays_live(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    open_live(page, server.url)
    page.get_by_label("Search").press_sequentially("AN")
    expect(page).to_have_url(f"{server.url}/?q=AN")
    expect(page.locator(NAMES)).to_have_text(["Bananas"])
    expect(page.get_by_label("Search")).to_be_focused()
    expect(page.locator("#matches")).to_have_text("1 item matches “AN”")
    make_item(database, name="Oranges", quantity=1)
    expect(page.locator(NAMES)).to_have_text(["Bananas", "Oranges"])
    database.execute("UPDATE inventory SET name = 'Kiwis' WHERE name = 'Bananas'")
    expect(page.locator(NAMES)).to_have_text(["Oranges"])


@pytest.mark.usefixtures("fruit")
def test_percent_and_underscore_are_ordinary_letters(server: LiveServer, page: Page) -> None:
    open_live(page, f"{server.url}/?q=%25")
    expect(page.locator(NAMES)).to_have_text(["cherries 100%"])
    open_live(page, f"{server.url}/?q=_")
    expect(page.get_by_role("heading", name="No item matches")).to_be_visible()


@pytest.mark.usefixtures("fruit")
def test_every_column_sorts_both_ways_and_stays_sorted(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    open_live(page, server.url)
    page.get_by_role("link", name="Quantity").click()
    expect(page).to_have_url(f"{server.url}/?sort=quantity")
    expect(page.locator(NAMES)).to_have_text(["apples", "cherries 100%", "Bananas"])
    page.get_by_role("link", name="Quantity").click()
    expect(page).to_have_url(f"{server.url}/?sort=-quantity")
    expect(page.locator(NAMES)).to_have_text(["Bananas", "cherries 100%", "apples"])
    expect(page.locator('th[aria-sort="descending"]')).to_contain_text("Quantity")
    expect(page.get_by_role("link", name="Quantity")).to_be_focused()
    database.execute("UPDATE inventory SET quantity = 99 WHERE name = 'apples'")
    expect(page.locator(NAMES)).to_have_text(["apples", "Bananas", "cherries 100%"])


@pytest.mark.usefixtures("fruit")
def test_filters_work_together_and_the_order_is_kept(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    open_live(page, f"{server.url}/?sort=-quantity")
    page.locator("#location").select_option("Shelf 1")
    expect(page).to_have_url(f"{server.url}/?sort=-quantity&location=Shelf+1")
    expect(page.locator(NAMES)).to_have_text(["cherries 100%", "apples"])
    page.get_by_label("Low stock").check()
    expect(page.locator(NAMES)).to_have_text(["apples"])
    database.execute("UPDATE inventory SET quantity = 21 WHERE name = 'apples'")
    expect(page.get_by_role("heading", name="No item matches")).to_be_visible()
    database.execute("UPDATE inventory SET reorder_level = 20 WHERE name LIKE 'cherries%'")
    expect(page.locator(NAMES)).to_have_text(["cherries 100%"])


def test_pages_stay_live(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    database.execute(
        "INSERT INTO inventory (name, quantity)"
        " SELECT 'item ' || lpad(n::text, 3, '0'), n FROM generate_series(1, 101) AS n"
    )
    open_live(page, server.url)
    page.get_by_role("link", name="Next").click()
    expect(page).to_have_url(f"{server.url}/?page=2")
    expect(page.locator(NAMES).first).to_have_text("item 051")
    make_item(database, name="a new first", quantity=1)
    expect(page.locator(NAMES).first).to_have_text("item 050")
    page.get_by_role("link", name="3", exact=True).click()
    expect(page.locator(NAMES)).to_have_text(["item 100", "item 101"])
    database.execute("DELETE FROM inventory WHERE quantity > 60")
    expect(page.locator('#pager [aria-current="page"]')).to_have_text("2")
    expect(page.locator(NAMES).last).to_have_text("item 060")


@pytest.mark.usefixtures("fruit")
def test_back_restores_the_search_field_with_the_rows(server: LiveServer, page: Page) -> None:
    open_live(page, server.url)
    page.get_by_label("Search").fill("an")
    expect(page.locator(NAMES)).to_have_text(["Bananas"])
    page.go_back()
    expect(page).to_have_url(f"{server.url}/")
    expect(page.locator(NAMES)).to_have_count(3)
    expect(page.get_by_label("Search")).to_have_value("")
    page.go_forward()
    expect(page.locator(NAMES)).to_have_text(["Bananas"])
    expect(page.get_by_label("Search")).to_have_value("an")
    wait_until_live(page)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("sort=colour", "There is no such order"),
        ("page=0", "There is no such page"),
        ("page=99999999999999999999", "There is no such page"),
        ("low=maybe", "“low” is 1 or 0"),
        (f"q={'x' * 300}", "longer than 200 characters"),
        ("q=a%00b", "characters that no item can have"),
    ],
)
def test_a_query_that_cannot_be_used_falls_back_visibly(
    server: LiveServer, page: Page, query: str, complaint: str
) -> None:
    open_live(page, f"{server.url}/?{query}")
    expect(page.locator(".complaints")).to_contain_text(complaint)


@pytest.mark.usefixtures("fruit")
def test_changing_the_view_leaves_exactly_one_socket(server: LiveServer, page: Page) -> None:
    open_live(page, server.url)
    for letters in ("a", "an", "ana"):
        page.get_by_label("Search").fill(letters)
        expect(page).to_have_url(f"{server.url}/?q={letters}")
    wait_until_live(page)
    eventually(lambda: len(server.app.state.hub._pages) == 1)


@pytest.mark.usefixtures("fruit")
def test_the_filter_offers_places_that_were_named_since(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    open_live(page, server.url)
    database.execute("UPDATE inventory SET location = 'Attic' WHERE name = 'Bananas'")
    page.locator("#location").focus()
    expect(page.locator("#location option")).to_have_text(["All", "Attic", "Shelf 1"])
    page.locator("#location").select_option("Attic")
    expect(page.locator(NAMES)).to_have_text(["Bananas"])


def test_a_code_finds_its_item_first(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="A 4711 of another kind", code="X-4711-B")
    make_item(database, name="pears", code="4711")
    open_live(page, server.url)
    page.get_by_label("Search").press_sequentially("4711")
    page.keyboard.press("Enter")
    expect(page.locator(NAMES)).to_have_text(["pears", "A 4711 of another kind"])
    database.execute("UPDATE inventory SET code = 'other' WHERE name = 'pears'")
    expect(page.locator(NAMES)).to_have_text(["A 4711 of another kind"])


def test_a_search_of_the_activity_says_when_nothing_matches(server: LiveServer, page: Page) -> None:
    page.goto(f"{server.url}/activity?who=nobody")
    expect(page.get_by_text("No change matches.")).to_be_visible()
