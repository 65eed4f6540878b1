"""Several processes behind one address: they die, are renewed and leave, and nobody notices."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.browserless import BrowserlessPage
from tests.command import serving
from tests.factories import make_item
from tests.integration import unable
from tests.server import LiveServer
from tests.waiting import eventually, until
from webapp.server.workers import Supervisor
from webapp.settings import SetupError


@asynccontextmanager
async def following(server: LiveServer, count: int) -> AsyncIterator[list[BrowserlessPage]]:
    """Open pages and follow their views; all are live when the context begins."""
    pages = [BrowserlessPage(server) for _ in range(count)]
    await asyncio.gather(*(page.open() for page in pages))
    tasks = [asyncio.create_task(page.follow()) for page in pages]
    await until(lambda: all(page.beats for page in pages))
    yield pages
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Shopper:
    """Puts items into stock, one request after the other on a kept connection, as browsers and programs do."""

    def __init__(self, server: LiveServer, item_id: int) -> None:
        self.answered = 0
        self.failures: list[object] = []
        self._server, self._item_id = server, item_id
        self._ends = threading.Event()

    def __enter__(self) -> "Shopper":
        self._threads = [threading.Thread(target=work) for work in (self._put, self._wait_for_changes)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _put(self) -> None:
        with httpx.Client(base_url=self._server.url, verify=False, timeout=20) as client:
            while not self._ends.is_set():
                self._note(lambda: client.post(f"/api/items/{self._item_id}/put", json={"by": 1}))
                self.answered += 1

    def _wait_for_changes(self) -> None:
        """Ask for what nobody does, so that the answer takes as long as it may."""
        with httpx.Client(base_url=self._server.url, verify=False, timeout=20) as client:
            while not self._ends.is_set():
                cursor = client.get("/api/changes").json()["cursor"]
                self._note(lambda after=cursor: client.get("/api/changes", params={"after": after, "wait": 2}))

    def _note(self, request: "object") -> None:
        try:
            answer = request()  # type: ignore[operator]
        except httpx.HTTPError as error:
            self.failures.append(error)
        else:
            if answer.status_code != 200:
                self.failures.append(answer)


async def test_processes_die_and_are_renewed_and_nobody_loses_anything(
    database_url: str, database: psycopg.Connection, tmp_path: Path
) -> None:
    item = make_item(database, name="apples", quantity=0)
    with serving(database_url, tmp_path / "log", "--workers", "2") as server:
        first = server.wait_for(2)
        async with following(server, 12) as pages:
            os.kill(first[0], signal.SIGKILL)
            async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=20) as client:
                for _ in range(5):
                    assert (await client.get("/healthz")).status_code == 200
            await asyncio.to_thread(server.wait_for, 3)
            assert f"process {first[0]} ended unasked, with status -9" in server.said
            with Shopper(server, item) as shopper:
                await until(lambda: shopper.answered)
                server.process.send_signal(signal.SIGHUP)
                numbers = await asyncio.to_thread(server.wait_for, 5)
                await until(lambda: server.said.count("leaves") == 2)
                done = shopper.answered
                await until(lambda: shopper.answered > done + 10)
            assert shopper.failures == []
            await until(lambda: all(page.items() == [("apples", shopper.answered)] for page in pages))
            assert len(set(numbers)) == 5
            server.process.kill()
            await until(lambda: not accepts(server.port))


def test_what_cannot_start_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        supervisor = Supervisor(2, unable.to_start, listening, leave_limit_s=5)
        with pytest.raises(SetupError, match="could not start"):
            supervisor.run(lambda: pytest.fail("it does not serve"))
    assert "ended unasked, with status 3" in caplog.text


@contextmanager
def ending(*, after: Callable[[], object]) -> Iterator[threading.Thread]:
    """Give a thread, to be started, that ends this process's supervisor after something."""

    def end() -> None:
        with suppress(AssertionError):  # what did not happen is missed below
            after()
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end)
    yield thread
    thread.join()


def test_what_hangs_is_killed_and_replaced(caplog: pytest.LogCaptureFixture) -> None:
    def is_replaced() -> bool:
        return "ended unasked, with status -9" in caplog.text and caplog.text.count("serves") > 2

    caplog.set_level("INFO")
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        ending(after=lambda: eventually(is_replaced)) as thread,
    ):
        Supervisor(2, unable.to_go_on, listening, leave_limit_s=5, silence_limit_s=0.3).run(thread.start)
    assert is_replaced()


def test_where_no_new_one_can_start_the_old_ones_go_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def renew() -> None:
        monkeypatch.setenv("UNABLE", "1")
        os.kill(os.getpid(), signal.SIGHUP)
        eventually(lambda: "ended unasked, with status 3" in caplog.text)
        said.append(caplog.text)

    caplog.set_level("INFO")
    with socket.create_server(("127.0.0.1", 0)) as listening, ending(after=renew) as thread:
        Supervisor(2, unable.to_renew, listening, leave_limit_s=5).run(thread.start)
    assert ["leaves" in each for each in said] == [False]
