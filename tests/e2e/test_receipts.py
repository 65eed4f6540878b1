import psycopg
from playwright.sync_api import Page, expect

from tests.e2e.conftest import eventually_in, open_live
from tests.e2e.test_reconnect import frames_of, show_or_hide
from tests.factories import make_item
from tests.server import LiveServer
from tests.waiting import eventually
from webapp.live.receipts import Receipts


def receipts_of(server: LiveServer) -> Receipts:
    receipts: Receipts = server.app.state.hub.receipts
    return receipts


def change_again(server: LiveServer, database: psycopg.Connection) -> Receipts:
    """Change something, and have a page asked for a receipt now: the first time it may not have been connected yet.

    Not while one is to be asked: a question that comes before the last was put takes its place, again and again.
    """
    receipts = receipts_of(server)
    if not any(page._question for page in list(server.app.state.hub._pages)):
        receipts._ask_at = 0.0
        database.execute("UPDATE inventory SET quantity = quantity + 1")
    return receipts


def test_a_change_in_psql_tells_how_long_it_took_to_the_screen(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    apples = make_item(database, name="apples", quantity=10)
    frames = frames_of(page)
    open_live(page, server.url)
    search = page.get_by_label("Search")
    search.fill("app")
    expect(page).to_have_url(f"{server.url}/?q=app")
    search.evaluate("element => element.setSelectionRange(1, 2)")
    receipts = receipts_of(server)
    known = len(receipts.recent)
    eventually_in(page, lambda: len(change_again(server, database).recent) > known)
    expect(page.locator(f'#item-{apples} td[data-field="quantity"]')).not_to_have_text("10")
    assert 0 < receipts.recent[-1].seconds < 5
    assert receipts.refused == 0
    asking = [frame for frame in frames if "#receipt" in frame]
    assert all(frame.count("<hx-partial") == 1 for frame in asking), "it is in a frame of its own"
    expect(page.locator("#receipt")).to_be_hidden()
    assert search.evaluate("element => [element === document.activeElement, element.selectionStart]") == [True, 1]


def test_who_has_left_is_not_waited_for(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="apples", quantity=10)
    receipts = receipts_of(server)
    open_live(page, server.url)
    page.evaluate("document.body.addEventListener('htmx:ws:before:message:outgoing', event => event.preventDefault())")
    asked = receipts.asked
    eventually_in(page, lambda: change_again(server, database).asked > asked)
    show_or_hide(page, hidden=True)
    eventually(lambda: not server.app.state.hub._pages)
    show_or_hide(page, hidden=False)
    page.evaluate("location.reload()")
    expect(page.locator("#connection .live")).to_be_visible()
    eventually_in(page, lambda: change_again(server, database).recent)
    assert receipts.refused == 0
