"""What the tests of the editor do in a browser."""

from playwright.sync_api import Page, expect

QUANTITY = '#rows td[data-field="quantity"]'


def edit(page: Page, name: str = "apples") -> None:
    page.get_by_role("button", name=f"Edit {name}").click()
    expect(page.locator("#move-by")).to_be_focused()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save").click()


def next_beat(page: Page) -> None:
    """Wait until the server has said once more that the page is live."""
    beat = page.locator("#beat").element_handle()
    page.wait_for_function("beat => !beat.isConnected", arg=beat)
