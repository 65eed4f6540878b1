import asyncio

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.browserless import BrowserlessPage, open_page, until
from tests.factories import make_item
from tests.integration import parts
from tests.server import LiveServer, serve

pytestmark = pytest.mark.parts


class Proxied(LiveServer):
    """Servers that are reached through a proxy."""

    def __init__(self, port: int) -> None:
        self.url, self.socket_url = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"


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


async def test_two_servers_behind_one_nginx_are_one_to_the_page(
    database_url: str, database: psycopg.Connection
) -> None:
    make_item(database, name="apples", quantity=1)
    with serve(database_url) as stays, serve(database_url) as goes, parts.nginx(goes.port, stays.port) as port:
        pages = [BrowserlessPage(Proxied(port)) for _ in range(4)]
        for page in pages:
            await page.open()
        following = [asyncio.create_task(page.follow()) for page in pages]
        await until(lambda: all(page.beats for page in pages))
        assert goes.app.state.hub._pages, "nginx gave all to one"
        database.execute("UPDATE inventory SET quantity = 2")
        await until(lambda: all(page.items() == [("apples", 2)] for page in pages))
        goes.stop()
        database.execute("UPDATE inventory SET quantity = 3")
        await until(lambda: all(page.items() == [("apples", 3)] for page in pages))
        assert len(stays.app.state.hub._pages) == 4
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def test_a_browser_s_origin_passes_the_proxy(database_url: str) -> None:
    with serve(database_url) as server, parts.nginx(server.port) as port:
        origin = {"Origin": f"http://127.0.0.1:{port}"}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as client:
            ours = await client.post("/items", data={"name": "apples", "quantity": "1"}, headers=origin)
            theirs = await client.post("/items", data={"name": "pears"}, headers={"Origin": "http://other.example"})
        assert (ours.status_code, theirs.status_code) == (303, 403)
