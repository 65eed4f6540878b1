"""What happens to browsers and to the machine, and what every open page shows afterwards: what SELECT says."""

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.browserless import BrowserlessPage, open_page
from tests.command import serving
from tests.factories import make_item
from tests.integration import parts
from tests.proxy import network_before, network_to
from tests.server import LiveServer, serve
from tests.waiting import until
from tests.work import counted_work

CROWD = 1_000
HELLO = (
    b"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
DAY_S = 24 * 60 * 60
CLOCK = Path(__file__).with_name("clock.c")


class Elsewhere(LiveServer):
    """A server as it is reached by another port."""

    def __init__(self, port: int) -> None:
        self.url, self.socket_url = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"


def selected(database: psycopg.Connection) -> list[tuple[str, int]]:
    return database.execute("SELECT name, quantity FROM inventory ORDER BY name LIMIT 50").fetchall()


def feed(server: LiveServer) -> str:
    """Return what the server says of its change feed."""
    return str(httpx.get(f"{server.url}/readyz", verify=False, timeout=20).json()["feed"])


async def come_back(port: int, revision: str, summary: str) -> bytes:
    """Connect as a page does that shows a revision; return the first frame, once the socket is sure."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(HELLO)
        await reader.readuntil(b"\r\n\r\n")
        message = json.dumps({"type": "resume", "revision": revision, "summary": summary}).encode()
        writer.write(bytes([0x81, 0x80 | 126]) + len(message).to_bytes(2) + bytes(4) + message)
        frames = b""
        while b'id="beat"' not in frames:
            frames += await reader.read(65536)
        return frames
    finally:
        writer.close()


async def test_a_thousand_pages_that_come_back_at_once_share_a_few_queries(
    database_url: str, database: psycopg.Connection
) -> None:
    for number in range(20):
        make_item(database, name=f"item {number:02}", quantity=number)
    with serve(database_url) as before:
        page = BrowserlessPage(before)
        await page.open()
    database.execute("UPDATE inventory SET quantity = quantity + 100")
    roomy: dict[str, Any] = {"max_connections_per_address": 2 * CROWD, "requests_per_second": 10 * CROWD}
    with counted_work() as work, serve(database_url, **roomy) as after:
        work.clear()
        revisions = (page.value("revision"), page.value("summary-revision"))
        frames = await asyncio.gather(*(come_back(after.port, *revisions) for _ in range(CROWD)))
        assert [frame for frame in frames if b">119<" not in frame] == [], "nobody is live before it shows what is"
        assert len(frames) == CROWD
        assert max(work.queries.values()) <= CROWD / 50, "eight a second at most, for whoever came meanwhile"
        assert max(work.renders.values()) <= CROWD / 50 + 20
        async with open_page(after) as still:
            await until(lambda: still.beats)
            assert still.items() == selected(database)


@pytest.mark.parametrize("ends", ["mended", "cut"])
async def test_a_page_behind_a_network_that_stalls_holds_up_nobody_and_catches_up(
    database_url: str, database: psycopg.Connection, ends: str
) -> None:
    make_item(database, name="apples", quantity=0)
    with serve(database_url) as server, network_to("127.0.0.1", str(server.port)) as (port, network):
        async with open_page(server) as near, open_page(Elsewhere(port)) as far:
            await until(lambda: near.beats and far.beats)
            network.stall()
            beats = far.beats
            for number in range(1, 60):
                database.execute("UPDATE inventory SET quantity = %s", [number])
                make_item(database, name=f"item {number:02}", quantity=number)
            await until(lambda: near.items() == selected(database))
            assert far.items() == [("apples", 0)]
            assert far.beats <= beats + 1
            if ends == "cut":
                network.cut()
            network.mend()
            await until(lambda: far.items() == selected(database))
            assert len(server.app.state.hub._pages) <= 3


@pytest.fixture
def clock(tmp_path: Path) -> str:
    """The library that shifts a program's clock."""
    library = tmp_path / "clock.so"
    subprocess.run([parts.find("cc", "gcc"), "-shared", "-fPIC", "-o", library, CLOCK, "-ldl"], check=True)
    return str(library)


@pytest.mark.parts
async def test_a_clock_that_jumps_changes_nothing_but_the_time_that_is_told_and_makes_no_dead_feed_look_fresh(
    database_url: str, database: psycopg.Connection, tmp_path: Path, clock: str
) -> None:
    shift = tmp_path / "shift"
    shift.write_text("0")
    item = make_item(database, name="apples", quantity=0)
    with (
        network_before(database_url) as (url, network),
        serving(url, tmp_path / "log", LD_PRELOAD=clock, CLOCK_SHIFT=str(shift)) as server,
    ):
        async with open_page(server) as page:
            await until(lambda: page.beats)

            def told_minutes() -> int:
                return int(re.findall(r'data-now="(\d+)"', "".join(page.frames))[-1])

            async def check(jump_s: int, quantity: int) -> None:
                shift.write_text(str(jump_s))
                expected = range(began + jump_s // 60, began + jump_s // 60 + 2)
                await until(lambda: told_minutes() in expected)
                database.execute("UPDATE inventory SET quantity = %s WHERE id = %s", [quantity, item])
                await until(lambda: page.items() == selected(database))

            began = told_minutes()
            await check(DAY_S, quantity=1)
            network.stall()
            shift.write_text(str(-DAY_S))
            await until(lambda: feed(server) != "ok")
            network.mend()
            await check(-DAY_S, quantity=2)
        assert "Traceback" not in server.said
