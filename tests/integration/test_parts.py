from collections.abc import Callable
from contextlib import AbstractContextManager, AsyncExitStack

import httpx
import psycopg
import pytest
from fastapi import Request
from psycopg.conninfo import make_conninfo

from tests.browserless import BrowserlessPage, open_page
from tests.factories import make_item
from tests.integration import parts
from tests.integration.test_workers import following
from tests.server import LiveServer, serve
from tests.waiting import until
from webapp.postgres.hearing import check_hearing
from webapp.settings import SetupError

pytestmark = pytest.mark.parts

Proxy = Callable[..., AbstractContextManager[int]]
BEHIND_EACH = pytest.mark.parametrize("proxy", [parts.nginx, parts.caddy])


class Proxied(LiveServer):
    """Servers that are reached through a proxy."""

    def __init__(self, port: int) -> None:
        self.url, self.socket_url = f"https://127.0.0.1:{port}", f"wss://127.0.0.1:{port}"


async def test_debians_postgresql_15_serves_as_well() -> None:
    with parts.postgres_15() as admin_url:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute("CREATE ROLE plain LOGIN")
            admin.execute("CREATE DATABASE stock OWNER plain")
        url = make_conninfo(admin_url, user="plain", dbname="stock")
        with serve(url) as server, psycopg.connect(url, autocommit=True) as database:
            async with open_page(server) as page:
                await until(lambda: page.beats)
                make_item(database, name="ÄPFEL", quantity=3)
                await until(lambda: page.items() == [("ÄPFEL", 3)])
                with pytest.raises(psycopg.errors.UniqueViolation):
                    make_item(database, name="äpfel", quantity=3)


async def test_a_transaction_pooler_may_stand_before_all_but_the_listener(
    database_url: str, database: psycopg.Connection
) -> None:
    with parts.pgbouncer(database_url) as pooled, serve(pooled, listen_database_url=database_url) as server:
        async with open_page(server) as page, httpx.AsyncClient(base_url=server.url, verify=False) as client:
            await until(lambda: page.beats)
            for number in range(20):
                posted = await client.post("/items", data={"name": f"item {number}", "quantity": "1"})
                assert posted.status_code == 303
            database.execute("UPDATE inventory SET quantity = 2 WHERE name = 'item 19'")
            await until(lambda: page.text("totals") == "Items 20 Units 21 Low stock 0")
            await until(lambda: len(page.items()) == 20)


async def test_a_start_at_which_nothing_would_be_heard_is_refused(database_url: str, admin_url: str) -> None:
    with parts.pgbouncer(database_url) as pooled:
        for listening in (pooled, admin_url):
            with pytest.raises(SetupError, match="do not arrive"):
                check_hearing(database_url, listening, patience_s=0.5)
        with pytest.raises(SetupError, match="do not arrive"):
            check_hearing(pooled, pooled, patience_s=0.5)
        check_hearing(pooled, database_url)


@BEHIND_EACH
async def test_two_servers_behind_one_proxy_are_one_to_the_page(
    database_url: str, database: psycopg.Connection, proxy: Proxy
) -> None:
    make_item(database, name="apples", quantity=1)
    with (
        serve(database_url, open_to_all=True) as stays,
        serve(database_url, open_to_all=True) as goes,
        proxy(goes.port, stays.port) as port,
    ):
        async with AsyncExitStack() as stack:
            pages: list[BrowserlessPage] = []
            while not (stays.app.state.hub.open_pages and goes.app.state.hub.open_pages):  # Caddy chooses at random
                pages += await stack.enter_async_context(following(Proxied(port), 4))
            database.execute("UPDATE inventory SET quantity = 2")
            await until(lambda: all(page.items() == [("apples", 2)] for page in pages))
            goes.stop()
            database.execute("UPDATE inventory SET quantity = 3")
            await until(lambda: all(page.items() == [("apples", 3)] for page in pages))
            assert stays.app.state.hub.open_pages == len(pages)


PROXY, SPOOFED = {"client": "127.0.0.1", "scheme": "https"}, {"client": "6.6.6.6", "scheme": "https"}
NOBODY = {"client": "127.0.0.1", "scheme": "http"}


@BEHIND_EACH
@pytest.mark.parametrize(
    ("trusted", "through_it", "past_it", "statuses"),
    [("127.0.0.1", PROXY, SPOOFED, [404, 403, 403]), ("10.0.0.0/8", NOBODY, NOBODY, [404, 404, 403])],
)
async def test_what_a_proxy_says_is_believed_of_those_that_are_trusted(
    shared_url: str, proxy: Proxy, trusted: str, through_it: object, past_it: object, statuses: list[int]
) -> None:
    with (
        serve(shared_url, allowed_hosts="stock.example.com", trusted_proxies=trusted, open_to_all=True) as server,
        proxy(server.port) as port,
    ):

        @server.app.get("/seen")
        def seen(request: Request) -> dict[str, str]:
            return {"client": request.client.host if request.client else "", "scheme": request.url.scheme}

        says = {"Host": "stock.example.com", "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https"}
        async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{port}", verify=False, headers=says) as client:
            assert (await client.get("/seen")).json() == through_it, "the proxy says whom it saw"
            origins = ("https://stock.example.com", "http://stock.example.com", "https://other.example")
            posted = [await client.post("/items/1/put", headers={"Origin": origin}) for origin in origins]
            assert [answer.status_code for answer in posted] == statuses
        async with httpx.AsyncClient(base_url=server.url, verify=False, headers=says) as client:
            assert (await client.get("/seen")).json() == past_it, "whoever is trusted can say anything"
