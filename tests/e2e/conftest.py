"""A server per test, a real Chromium, and no word on the browser's console that a test did not expect."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests import browser
from tests.server import LiveServer, serve
from tests.waiting import eventually

# What Chromium itself reports when an answer is an error, or a server is away: the tests cause both on purpose.
EXPECTED = ("Failed to load resource", "WebSocket connection to", "htmx: htmx:ws:error")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start the Chromium that this machine has, the way it can be started here."""
    path = browser.find()
    if path is None:
        pytest.exit("no Chromium: python -m tests.browser", 1)
    arguments = {**browser_type_launch_args, "args": browser.chromium_arguments()}
    return arguments | {"executable_path": path} if path else arguments


@pytest.fixture
def server(database_url: str) -> Iterator[LiveServer]:
    """The application on a database of the test's own."""
    with serve(database_url) as running:
        yield running


@pytest.fixture(scope="module")
def shared_server(shared_url: str) -> Iterator[LiveServer]:
    """The application on a database that the tests of a module share, for those that change nothing in it."""
    with serve(shared_url) as running:
        yield running


@pytest.fixture(autouse=True)
def quiet_console(context: BrowserContext) -> Iterator[list[str]]:
    """Fail a test whose pages complain: a script's error, a refused style, a message that htmx could not swap."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(EXPECTED):
            complaints.append(message.text)

    context.on("console", note)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    yield complaints
    assert complaints == []


@pytest.fixture
def other_page(browser: Any, quiet_console: list[str]) -> Iterator[Page]:
    """A page in a second browser, as another person has it."""
    context = browser.new_context()
    context.on("weberror", lambda error: quiet_console.append(str(error.error)))
    yield context.new_page()
    context.close()


def open_live(page: Page, address: str) -> None:
    """Open a page and wait until its socket has answered."""
    page.goto(address)
    wait_until_live(page)


def hurry(page: Page, times: int = 20) -> None:
    """Let the page's animations run faster, by which it notices that it hears nothing; 1 is as people have it."""
    page.context.new_cdp_session(page).send("Animation.setPlaybackRate", {"playbackRate": times})


def eventually_in(page: Page, condition: Callable[[], object]) -> None:
    """Wait for something that the browser tells the test by events, which come in while it is talked to."""
    eventually(lambda: page.evaluate("true") and condition())


def wait_until_live(page: Page) -> None:
    """Wait for the first beat: it sets the clock's mark."""
    expect(page.locator(":is(#rows, #facts)[data-same]")).to_be_attached()
    expect(page.locator("#connection .live")).to_be_visible()
