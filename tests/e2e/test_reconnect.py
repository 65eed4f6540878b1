import psycopg
import pytest
from playwright.sync_api import Page, WebSocket, expect

from tests.e2e.conftest import eventually_in, hurry, open_live, wait_until_live
from tests.factories import make_item
from tests.proxy import network_to
from tests.server import LiveServer, serve
from tests.waiting import eventually
from webapp.live.hub import BEAT_S
from webapp.live.live_view import CERTAIN_FOR_S

QUANTITY = '#rows td[data-field="quantity"]'


def show_or_hide(page: Page, *, hidden: bool) -> None:
    """Tell the page that its tab went to the background or came back, as the browser does."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
            const state = hidden ? 'hidden' : 'visible';
            Object.defineProperty(document, 'visibilityState', {value: state, configurable: true});
            document.dispatchEvent(new Event('visibilitychange'));
        }""",
        hidden,
    )


def frames_of(page: Page) -> list[str]:
    """Collect what the page's next sockets receive."""
    frames: list[str] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: frames.append(str(frame)))

    page.on("websocket", listen)
    return frames


def test_a_hidden_tab_catches_up_with_a_difference(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    for number in range(30):
        make_item(database, name=f"item {number:02}", quantity=1)
    open_live(page, server.url)
    page.evaluate("document.querySelector('#rows tr').marked = true")
    frames = frames_of(page)
    show_or_hide(page, hidden=True)
    eventually(lambda: not server.app.state.hub._pages)
    database.execute("UPDATE inventory SET quantity = 5 WHERE name IN ('item 00', 'item 07')")
    show_or_hide(page, hidden=False)
    expect(page.locator(QUANTITY).nth(7)).to_have_text("5")
    expect(page.locator(QUANTITY).first).to_have_text("5")
    rows = "".join(frames)
    assert rows.count('<tr id="item-') == 2, "more than the difference was sent"
    assert page.evaluate("document.querySelector('#rows tr').marked") is True
    wait_until_live(page)


def test_a_restarted_server_is_found_again_and_the_page_catches_up(
    database_url: str, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="apples", quantity=10)
    with serve(database_url) as first:
        open_live(page, first.url)
        page.evaluate("window.notReloaded = true")
    hurry(page)
    expect(page.locator("#connection .stale")).to_be_visible()
    hurry(page, 1)
    database.execute("UPDATE inventory SET quantity = 3")
    with serve(database_url, port=first.port):
        expect(page.locator(QUANTITY)).to_have_text("3", timeout=15_000)
        expect(page.locator("#connection .stale")).to_be_hidden()
        assert page.evaluate("window.notReloaded") is True


def test_a_network_that_stalls_is_noticed_and_what_was_missed_is_shown_when_it_flows(
    server: LiveServer, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="apples", quantity=10)
    with network_to("127.0.0.1", str(server.port)) as (port, network):
        open_live(page, f"http://127.0.0.1:{port}")
        network.stall()
        database.execute("UPDATE inventory SET quantity = 3")
        hurry(page)
        stale = page.locator("#connection .stale")
        expect(stale).to_be_visible()
        warns_after_s = stale.evaluate("stale => parseFloat(getComputedStyle(stale).animationDelay)")
        assert 2 * BEAT_S < warns_after_s < 5 - CERTAIN_FOR_S, "one beat may be late, and the last was of a sure feed"
        hurry(page, 1)
        network.mend()
        expect(page.locator(QUANTITY)).to_have_text("3", timeout=15_000)
        expect(page.locator("#connection .stale")).to_be_hidden()


def test_nothing_is_sent_again_when_nothing_changed(
    database_url: str, database: psycopg.Connection, page: Page
) -> None:
    make_item(database, name="apples", quantity=10)
    with serve(database_url) as first:
        open_live(page, first.url)
    frames = frames_of(page)
    with serve(database_url, port=first.port):
        eventually_in(page, lambda: any("#beat" in frame for frame in frames))
    assert not any('hx-swap="innerMorph"' in frame or "#totals" in frame for frame in frames)


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_silence_makes_the_page_ask_for_itself(
    server: LiveServer, database: psycopg.Connection, page: Page, motion: str
) -> None:
    page.emulate_media(reduced_motion="reduce" if motion == "reduce" else "no-preference")
    make_item(database, name="apples", quantity=10)
    page.route_web_socket("**/live*", lambda socket: None)  # accepts, and is silent
    page.goto(server.url)
    hurry(page)
    with page.expect_request(lambda request: request.headers.get("hx-request-type") == "partial", timeout=12_000):
        database.execute("UPDATE inventory SET quantity = 3")
    expect(page.locator(QUANTITY)).to_have_text("3", timeout=12_000)


def test_back_and_forward_show_what_is_true_now(server: LiveServer, database: psycopg.Connection, page: Page) -> None:
    make_item(database, name="apples", quantity=10)
    open_live(page, server.url)
    page.get_by_role("link", name="Low stock").click()
    expect(page).to_have_url(f"{server.url}/?low=1")
    database.execute("UPDATE inventory SET quantity = 4")
    page.go_back()
    expect(page.locator(QUANTITY)).to_have_text("4")
    database.execute("UPDATE inventory SET quantity = 5")
    expect(page.locator(QUANTITY)).to_have_text("5")
