"""The embedded server is killed, or its disk is full, while pages are open: they end at what SELECT says."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.browserless import BrowserlessPage, open_page
from tests.integration.parts import folder
from tests.server import LiveServer, serve
from tests.waiting import until
from webapp.operations.doctor import examine
from webapp.postgres.database import prepare
from webapp.settings import Settings

DISK = "size=160m"
READ = ("/", "/?q=x", "/activity", "/api/items", "/readyz")


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A small disk of its own, where the system allows to mount one; else a folder."""
    with folder() as place:
        place.chmod(0o755)
        mounted = shutil.which("mount") and not subprocess.call(
            ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(place)], stderr=subprocess.DEVNULL
        )
        try:
            yield place
        finally:
            if mounted:
                subprocess.check_call(["umount", "--lazy", str(place)])


@pytest.fixture
def small_disk(disk: Path) -> Path:
    return disk if disk.is_mount() else pytest.skip("needs the right to mount a small disk")


@pytest.fixture(scope="module")
def server(disk: Path) -> Iterator[LiveServer]:
    with serve(None, data_dir=disk / "postgres") as running:
        yield running
    embedded = prepare(Settings(data_dir=disk / "postgres")).server
    assert embedded is not None
    embedded.stop("immediate")


@pytest.fixture
def url(server: LiveServer) -> str:
    return prepare(server.app.state.settings).url


def add(server: LiveServer, name: str) -> int:
    """Add an item, or find it added before; return the status."""
    item = {"name": name, "quantity": 1}
    return httpx.post(f"{server.url}/api/items", json=item, verify=False, timeout=20).status_code


def can_add(server: LiveServer, name: str) -> bool:
    return add(server, name) in (201, 409)  # what was refused as uncertain may have been done


def fill_up(disk: Path) -> Path:
    """Take all the room there is; return the file that has it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1024 * 1024))
    return ballast


def add_until_refused(server: LiveServer) -> httpx.Response:
    """Add items; what is left in files that are there already is used first."""
    with httpx.Client(base_url=server.url, verify=False, timeout=20) as client:
        for number in count():
            answer = client.post("/api/items", json={"name": f"{number} {'x' * 150}", "quantity": 1})
            if answer.status_code != 201:
                return answer
    raise AssertionError


def selected(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute("SELECT name, quantity FROM inventory ORDER BY name").fetchall()


async def check_converged(page: BrowserlessPage, url: str) -> None:
    expected = selected(url)
    await until(lambda: page.items() == expected)


async def test_a_server_killed_by_force_is_started_again_and_pages_converge(
    server: LiveServer, disk: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert add(server, "before") == 201
    async with open_page(server) as page:
        os.kill(int((disk / "postgres/cluster/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        await until(lambda: not server.app.state.hub.is_certain(), within_s=20)
        await until(lambda: can_add(server, "after"), within_s=20)
        await check_converged(page, url)
        assert page.items() == [("after", 1), ("before", 1)]
    told = [each.getMessage() for each in caplog.records if each.name == "webapp.operations.keeper"]
    assert told == ["the embedded PostgreSQL had ended; it runs again"]


async def test_with_a_full_disk_all_is_read_and_what_is_refused_is_told_and_goes_on_when_there_is_room(
    server: LiveServer, small_disk: Path, url: str
) -> None:
    async with open_page(server) as page:
        ballast = fill_up(small_disk)
        answer = await asyncio.to_thread(add_until_refused, server)
        assert (answer.status_code, answer.json()["detail"]) == (
            503,
            "The database has no room left: its disk is full. Nothing was changed.",
        )
        async with httpx.AsyncClient(base_url=server.url, verify=False, timeout=20) as client:
            assert [(await client.get(path)).status_code for path in READ] == [200] * len(READ)
        beats = page.beats
        await until(lambda: page.beats > beats + 1)
        assert any(
            finding.level == "fail" and "GiB are free" in finding.what for finding in examine(server.app.state.settings)
        )
        ballast.unlink()
        await until(lambda: can_add(server, "there is room"), within_s=30)
        await check_converged(page, url)
