"""A server that is terminated: it finishes what it was asked, and lets its pages go one after the other."""

import asyncio
from contextlib import suppress

import httpx
import psycopg
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.factories import make_item
from tests.server import serve
from tests.waiting import until
from webapp.server import draining

RESUME = '{"type": "resume"}'


async def test_pages_go_one_after_the_other_and_the_last_are_live_meanwhile(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "CLOSED_PER_S", 10)
    heard: dict[ClientConnection, str] = {}

    async def read(page: ClientConnection) -> None:
        await page.send(RESUME)
        with suppress(ConnectionClosed):
            async for frame in page:
                heard[page] = heard.get(page, "") + str(frame)

    with serve(database_url) as server:
        pages = [await connect(f"{server.socket_url}/live", max_size=None) for _ in range(8)]
        reading = [asyncio.create_task(read(page)) for page in pages]
        await until(lambda: len(heard) == len(pages))
        server.drain()
        await until(lambda: any(each.done() for each in reading))
        make_item(database, name="while they leave", quantity=1)
        await until(lambda: all(each.done() for each in reading))
    told = [page for page in pages if "while they leave" in heard[page]]
    assert 0 < len(told) < len(pages)
    assert [page.close_code for page in pages] == [1012] * len(pages)


async def test_nobody_is_cut_off_or_kept_waiting(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "SLICE_S", 0)  # or a slice would do for the grace
    with serve(database_url) as server:
        async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=10) as client:
            hub = server.app.state.hub
            await until(hub.is_certain)
            cursor = (await client.get("/api/changes")).json()["cursor"]
            page = await connect(f"{server.socket_url}/live")
            await until(lambda: hub._pages)
            waiting = asyncio.create_task(client.get("/api/changes", params={"after": cursor, "wait": 30}))
            await until(lambda: len(server.connections) == 2)
            kept = httpx.AsyncClient(base_url=server.url, verify=False, timeout=20)
            assert "connection" not in (await kept.get("/healthz")).headers
            server._server.config.timeout_graceful_shutdown = 60  # then it would cut off who waits
            server.drain()
            await page.wait_closed()
            answer = await kept.get("/healthz")
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
            with pytest.raises(httpx.ConnectError):
                await kept.get("/healthz")
            assert (await waiting).json()["changes"] == []
            await kept.aclose()


async def test_a_second_signal_ends_the_patience(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "CLOSED_PER_S", 0.01)
    monkeypatch.setattr(draining, "DRAIN_LIMIT_S", 1000)
    with serve(database_url) as server:
        pages = [await connect(f"{server.socket_url}/live") for _ in range(8)]
        await until(lambda: len(server.app.state.hub._pages) == 8)
        server.drain()
        await until(lambda: any(page.close_code for page in pages))
        assert any(not page.close_code for page in pages)
        await asyncio.to_thread(server.stop)
        for page in pages:
            await page.wait_closed()
            assert page.close_code == 1012


def test_a_signal_is_heard_at_once_and_not_looked_for(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "DATE_S", 3600)
    with serve(database_url) as server:
        pass
    assert not server._thread.is_alive()
