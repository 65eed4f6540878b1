"""A browser that signs in, TLS, a reverse proxy, a path, and two servers of one database."""

from typing import Any

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.accounts import PASSWORD, make_account
from tests.e2e.conftest import open_live, wait_until_live
from tests.e2e.test_sign_in import sign_in
from tests.factories import make_item
from tests.integration import parts
from tests.integration.test_parts import Proxy
from tests.server import serve

pytestmark = pytest.mark.parts


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "ignore_https_errors": True}


@pytest.mark.parametrize("proxy", [parts.nginx, parts.caddy])
def test_everything_works_below_a_path_behind_a_proxy(
    database_url: str, database: psycopg.Connection, page: Page, proxy: Proxy
) -> None:
    settings: dict[str, Any] = {"root_path": "/stock", "trusted_proxies": ("127.0.0.1/32",)}
    make_account(database_url, "Ada", "admin", PASSWORD)
    with (
        serve(database_url, **settings) as first,
        serve(database_url, **settings) as second,
        proxy(first.port, second.port, location="/stock/") as port,
    ):
        place = f"https://127.0.0.1:{port}/stock"
        page.goto(f"{place}/low")
        sign_in(page, "Ada")
        expect(page).to_have_url(f"{place}/low")
        (cookie,) = page.context.cookies()
        assert (cookie.get("name"), cookie.get("secure")) == (f"__Host-session-{port}-stock", True)
        open_live(page, f"{place}/")
        page.locator("#new-name").fill("apples")
        page.locator("#new-quantity").fill("3")
        page.locator("#new-item").get_by_role("button").click()
        expect(page.locator("#rows")).to_contain_text("apples")
        page.get_by_role("button", name="Put 1: apples").click()
        expect(page.locator('#rows [data-field="quantity"]')).to_have_text("4")
        page.locator("#q").fill("pears")
        expect(page).to_have_url(f"{place}/?q=pears")
        make_item(database, name="pears", quantity=1)
        expect(page.locator("#rows")).to_contain_text("pears")
        (first if first.app.state.hub.open_pages else second).drain()
        database.execute("UPDATE inventory SET quantity = 7")
        expect(page.locator('#rows [data-field="quantity"]')).to_have_text("7")
        wait_until_live(page)
        page.locator("#rows").get_by_role("link", name="pears", exact=True).click()
        expect(page).to_have_url(f"{place}/items/2")
        wait_until_live(page)
