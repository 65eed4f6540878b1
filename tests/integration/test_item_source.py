import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, tzinfo

import httpx
import psycopg
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.factories import make_item
from tests.server import LiveServer
from tests.waiting import until
from webapp.live import item_view
from webapp.live.changes import Touch
from webapp.live.item_view import ItemPage, ItemView

REVISION = re.compile(r'id="revision" name="revision" value="(\w+)"')


@pytest.fixture(autouse=True)
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chart's last minute would end between two looks now and then."""

    class Still:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return datetime(2099, 1, 1, tzinfo=zone)

    monkeypatch.setattr(item_view, "datetime", Still)


async def revision_of_page(server: LiveServer, item: int) -> str:
    async with httpx.AsyncClient(verify=False) as client:
        found = REVISION.search((await client.get(f"{server.url}/items/{item}", timeout=20)).text)
    assert found
    return str(found[1])


class Follower:
    """A socket that follows an item, and what it was sent."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[str] = []

    @property
    def revision(self) -> str:
        return str((REVISION.findall("".join(self.frames)) or [""])[-1])

    async def read(self) -> None:
        async for frame in self.socket:
            self.frames.append(str(frame))


@asynccontextmanager
async def following(server: LiveServer, item: object, revision: str) -> AsyncIterator[Follower]:
    async with connect(f"{server.socket_url}/live?item={item}", max_size=None) as socket:
        await socket.send(json.dumps({"type": "resume", "revision": revision}))
        follower = Follower(socket)
        reading = asyncio.create_task(follower.read())
        await until(lambda: follower.frames)
        yield follower
        reading.cancel()


async def test_a_page_that_is_up_to_date_is_told_only_that_it_is_live(
    server: LiveServer, database: psycopg.Connection
) -> None:
    item = make_item(database)
    async with following(server, item, await revision_of_page(server, item)) as follower:
        assert "#facts" in follower.frames[0]
        assert "#history" not in follower.frames[0]
        assert follower.revision == ""


async def test_all_who_look_at_an_item_cost_one_refresh_and_nobody_elses_does(
    server: LiveServer, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    apples, pears = make_item(database, name="apples"), make_item(database, name="pears")
    revision = await revision_of_page(server, apples)
    read: list[ItemView] = []
    load = ItemPage.load

    async def counted(self: ItemPage, touch: Touch) -> object:
        read.append(self.view)
        return await load(self, touch)

    monkeypatch.setattr(ItemPage, "load", counted)
    async with (
        following(server, apples, revision) as one,
        following(server, apples, revision) as two,
        following(server, pears, "") as other,
    ):
        await until(lambda: other.revision)
        read.clear()
        database.execute("UPDATE inventory SET quantity = 3 WHERE name = 'apples'")
        await until(lambda: one.revision and two.revision)
        assert read == [ItemView(apples)]
        assert [frame for frame in one.frames if "revision" in frame] == [f for f in two.frames if "revision" in f]
        assert 'hx-target="#history"' in one.frames[-1] + one.frames[-2]
        assert "data-same" in "".join(one.frames), "what stays is not sent again"


async def test_after_any_changes_a_follower_shows_what_a_fresh_page_shows(
    server: LiveServer, database: psycopg.Connection
) -> None:
    item = make_item(database, name="apples", quantity=100)
    chance = random.Random(3)
    statements = [
        "UPDATE inventory SET quantity = quantity + 1",
        "UPDATE inventory SET name = name || '!', reorder_level = quantity",
        "UPDATE inventory SET reorder_level = NULL, location = NULL",
        "DELETE FROM inventory",
        "INSERT INTO inventory (id, name, quantity) OVERRIDING SYSTEM VALUE VALUES (1, 'apples', 5)"
        " ON CONFLICT DO NOTHING",
        "UPDATE inventory SET quantity = 0; UPDATE inventory SET quantity = 9",
        "TRUNCATE inventory",
    ]
    async with following(server, item, await revision_of_page(server, item)) as follower:
        for _ in range(8):
            for statement in chance.choices(statements, k=5):
                database.execute(statement)
            fresh = await revision_of_page(server, item)
            await until(lambda fresh=fresh: follower.revision == fresh)  # type: ignore[misc]


@pytest.mark.parametrize("item", ["", "0", "x", "-1", "99999999999999999999", "4711"])
async def test_a_socket_for_an_item_that_never_was_is_live_and_shows_nothing(server: LiveServer, item: str) -> None:
    async with following(server, item, "") as follower:
        await until(lambda: follower.revision)
        assert "No such item" in "".join(follower.frames)


async def test_the_title_is_told_with_the_frame(server: LiveServer, database: psycopg.Connection) -> None:
    item = make_item(database, name="apples")
    async with following(server, item, await revision_of_page(server, item)) as follower:
        database.execute("UPDATE inventory SET name = 'a & b'")
        await until(lambda: "<title>a &amp; b · Inventory</title>" in "".join(follower.frames))
