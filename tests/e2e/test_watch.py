import psycopg
from playwright.sync_api import Page, expect

from tests.e2e.conftest import open_live
from tests.factories import make_item
from tests.server import LiveServer


def mark(page: Page) -> None:
    """Leave something that a reload would wipe out."""
    page.evaluate("window.notReloaded = true")


def assert_not_reloaded(page: Page) -> None:
    assert page.evaluate("window.notReloaded") is True


def test_a_change_in_psql_shows_in_two_browsers_without_reloading(
    server: LiveServer, database: psycopg.Connection, page: Page, other_page: Page
) -> None:
    apples = make_item(database, name="apples", quantity=10)
    for each in (page, other_page):
        open_live(each, server.url)
        mark(each)
    database.execute("UPDATE inventory SET quantity = 7 WHERE name = 'apples'")
    for each in (page, other_page):
        expect(each.locator(f'#item-{apples} td[data-field="quantity"]')).to_have_text("7")
        assert_not_reloaded(each)


def test_rows_enter_move_and_leave_where_they_belong(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    for name in ("apples", "cherries"):
        make_item(database, name=name, quantity=1)
    open_live(page, server.url)
    mark(page)
    rows = page.locator('#rows td[data-field="name"]')
    make_item(database, name="Bananas", quantity=1)
    expect(rows).to_have_text(["apples", "Bananas", "cherries"])
    database.execute("UPDATE inventory SET name = 'zucchini' WHERE name = 'apples'")
    expect(rows).to_have_text(["Bananas", "cherries", "zucchini"])
    database.execute("DELETE FROM inventory WHERE name = 'cherries'")
    expect(rows).to_have_text(["Bananas", "zucchini"])
    database.execute("TRUNCATE inventory RESTART IDENTITY")
    expect(page.get_by_role("heading", name="Nothing in stock yet")).to_be_visible()
    make_item(database, name="dates", quantity=3)
    expect(rows).to_have_text(["dates"])
    assert_not_reloaded(page)


def test_totals_matches_and_activity_follow(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="apples", quantity=10, reorder_level=5)
    open_live(page, server.url)
    database.execute("SET application_name = 'nightly job'; UPDATE inventory SET quantity = 4")
    expect(page.locator('#totals [data-total="units"]')).to_have_text("4")
    expect(page.locator('#totals [data-total="low"]')).to_have_text("1")
    expect(page.locator("#activity li").first).to_contain_text("−6 apples 10 → 4")
    expect(page.locator("#activity li").first).to_contain_text("nightly job")
    make_item(database, name="pears", quantity=1)
    expect(page.locator('#totals [data-total="items"]')).to_have_text("2")
    expect(page.locator("#matches")).to_have_text("2 items")


def test_a_bulk_statement_arrives_as_a_whole(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    open_live(page, server.url)
    database.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, 6000) AS n")
    expect(page.locator("#matches")).to_have_text("6000 items")
    expect(page.locator("#rows tr")).to_have_count(50)
    database.execute("UPDATE inventory SET quantity = quantity + 1000000")
    expect(page.locator('#rows td[data-field="quantity"]').first).to_have_text("1000001")


def test_changed_cells_are_marked_once_and_only_in_differences(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    apples = make_item(database, name="apples", quantity=10, location="Shelf 1")
    open_live(page, server.url)
    expect(page.locator("#rows .changed-a, #rows .changed-b")).to_have_count(0)
    quantity = page.locator(f'#item-{apples} td[data-field="quantity"]')
    database.execute("UPDATE inventory SET quantity = 11")
    expect(quantity).to_have_class("changed-a")
    database.execute("UPDATE inventory SET quantity = 12")
    expect(quantity).to_have_class("changed-b")
    expect(page.locator(f'#item-{apples} td[data-field="location"]')).not_to_have_class("changed-b")
    page.reload()
    expect(page.locator("#rows .changed-a, #rows .changed-b")).to_have_count(0)


def test_what_other_programs_say_on_the_channel_is_shown_as_text(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    open_live(page, server.url)
    database.execute("""SELECT pg_notify('messages_channel', '{"name": "apples", "quantity": 10}')""")
    notice = page.locator("#notices li").first
    expect(notice).to_contain_text('{"name": "apples", "quantity": 10}')
    expect(notice).to_contain_text("not logged")
    database.execute("""SELECT pg_notify('messages_channel', '{"name": "apples", "change": -3}')""")
    expect(notice).to_contain_text('"change": -3')
    database.execute("SELECT pg_notify('messages_channel', '<img src=x onerror=alert(1)><script>alert(2)</script>')")
    expect(notice).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#notices img, #notices script")).to_have_count(0)


def test_the_age_of_a_change_comes_from_the_beat_alone(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    apples = make_item(database, name="apples", quantity=10)
    open_live(page, server.url)
    time = page.locator(f"#item-{apples} time")
    generated = "element => getComputedStyle(element, '::after').counterReset + getComputedStyle(element).counterReset"
    now = f"{time.evaluate(generated)} "
    assert any(f"age {minutes} " in now for minutes in (-1, 0, 1)), "a beat may be older than the turn of the minute"
    page.evaluate("document.getElementById('rows').dataset.now -= -90")
    assert "hours 1" in time.evaluate(generated)
