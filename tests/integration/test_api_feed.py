"""The change feed for programs: each committed change exactly once, in small pages, woken and not polled."""

import asyncio
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.overlap import SequenceReader, Told, Writer
from tests.server import LiveServer
from tests.waiting import eventually
from webapp.api.change_feed import ChangeFeed

WRITERS = 8
COMMITS = 800


@pytest.fixture
def client(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, verify=False, timeout=40) as client:
        eventually(lambda: client.get("/readyz").is_success)
        yield client


def now(client: httpx.Client) -> str:
    page = client.get("/api/changes").json()
    assert page["changes"] == []
    return str(page["cursor"])


def ask(client: httpx.Client, cursor: str, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/changes", params={"after": cursor, **query})
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def test_a_change_is_told_with_both_sides_and_who_how_and_why(
    client: httpx.Client, database: psycopg.Connection
) -> None:
    cursor = now(client)
    item = client.post("/api/items", json={"name": "told", "quantity": 3, "unit": "kg", "reason": "new"}).json()
    client.post(f"/api/items/{item['id']}/take", json={"by": 1})
    database.execute("DELETE FROM inventory")
    database.execute("TRUNCATE inventory")
    inserted, updated, deleted, truncated = ask(client, cursor)["changes"]
    after = {"name": "told", "quantity": 3, "unit": "kg", "location": None, "reorder_level": None, "code": None}
    assert (inserted["before"], inserted["after"]) == (None, after)
    assert (inserted["how"], inserted["reason"], inserted["version"]) == ("api", "new", 1)
    assert (updated["before"], updated["after"]) == (after, after | {"quantity": 2})
    assert (deleted["before"], deleted["after"]) == (after | {"quantity": 2}, None)
    assert (truncated["operation"], truncated["item_id"]) == ("truncate", None)
    assert len({change["transaction"] for change in (inserted, updated, deleted, truncated)}) == 4


def test_a_cursor_may_be_used_again_and_an_end_is_no_end_for_ever(
    client: httpx.Client, database: psycopg.Connection
) -> None:
    cursor = now(client)
    make_item(database)
    page = ask(client, cursor)
    assert [change["id"] for change in ask(client, cursor)["changes"]] == [change["id"] for change in page["changes"]]
    assert ask(client, page["cursor"])["changes"] == []
    make_item(database, name="later")
    assert [change["after"]["name"] for change in ask(client, page["cursor"])["changes"]] == ["later"]


def test_a_page_boundary_within_a_transaction_loses_nothing_that_commits_meanwhile(
    client: httpx.Client, database_url: str, database: psycopg.Connection
) -> None:
    cursor = now(client)
    with closing(psycopg.connect(database_url)) as slow:
        make_item(slow, name="slow")  # has the lowest id of all, and commits last
        database.execute(
            "INSERT INTO inventory (name, quantity) SELECT 'bulk ' || n, n FROM generate_series(1, 7) AS n"
        )
        first = ask(client, cursor, limit=3)
        slow.commit()
    make_item(database, name="late")
    seen = [change["after"]["name"] for change in first["changes"]]
    assert first["more"]
    page = first
    while page["changes"]:
        page = ask(client, page["cursor"], limit=3)
        seen += [change["after"]["name"] for change in page["changes"]]
    assert seen == [*(f"bulk {number}" for number in range(1, 8)), "slow", "late"]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The feed's looks into the database so far."""
    found: list[Any] = []
    look = ChangeFeed._look

    async def counted(self: ChangeFeed, *parameters: Any) -> Any:
        found.append(parameters)
        return await look(self, *parameters)

    monkeypatch.setattr(ChangeFeed, "_look", counted)
    return found


def test_who_waits_is_woken_by_a_change_and_asks_the_database_no_more_than_twice(
    server: LiveServer, client: httpx.Client, database: psycopg.Connection, looks: list[Any]
) -> None:
    cursor, listener = now(client), server.app.state.hub.listener
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(ask, client, cursor, wait=30)
        eventually(lambda: looks)
        assert listener.watchers == 1
        make_item(database, name="awaited")
        assert [change["after"]["name"] for change in waiting.result()["changes"]] == ["awaited"]
    assert len(looks) <= 2
    assert not listener.watchers
    assert ask(client, cursor)["changes"]


def test_who_waits_for_nothing_gets_a_cursor_when_the_time_is_up(client: httpx.Client) -> None:
    page = ask(client, now(client), wait=1)
    assert (page["changes"], page["more"]) == ([], False)
    assert ask(client, page["cursor"])["changes"] == []


def test_who_waits_while_the_server_stops_gets_an_answer(
    client: httpx.Client, server: LiveServer, looks: list[Any]
) -> None:
    cursor = now(client)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(ask, client, cursor, wait=30)
        eventually(lambda: looks)
        server.stop()
        assert waiting.result()["changes"] == []


def forged(cursor: str, place: int, value: object) -> str:
    values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    values[place] = value
    return urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def test_a_cursor_of_another_history_or_made_up_is_gone(client: httpx.Client, database: psycopg.Connection) -> None:
    cursor = now(client)
    future = f"{2**60}:{2**60}:"
    others = [forged(cursor, 0, "other"), forged(cursor, 1, future), "x", "W10", "bnVsbA"]
    others += [forged(cursor, 1, text) for text in ("5:1:", "0:0:", "1:9:20", "", "1:2:;", None, 5, "9" * 20 + ":1:")]
    others += [forged(cursor, 2, text) for text in ("5:1:", 5)] + [
        forged(cursor, 3, n) for n in (-1, 2**63, "0", 1.5, True)
    ]
    for other in others:
        answer = client.get("/api/changes", params={"after": other})
        assert (answer.status_code, answer.json()["type"]) == (410, "/api#unusable-cursor"), other
    database.execute("UPDATE inventory_epoch SET id = gen_random_uuid()")
    answer = client.get("/api/changes", params={"after": cursor})
    assert (answer.status_code, "afresh" in answer.json()["detail"]) == (410, True)


def follow_to_the_end(client: httpx.Client, cursor: str) -> list[Told]:
    """Read pages of three until the change to the item called "the end" is told."""
    told: list[Told] = []
    while True:
        page = ask(client, cursor, limit=3, wait=10)
        assert len(page["changes"]) <= 3
        cursor = page["cursor"]
        for change in page["changes"]:
            if change["after"]["name"] == "the end":
                return told
            told.append((change["item_id"], change["after"]["quantity"]))


async def test_each_change_is_told_exactly_once_in_pages_of_three_while_writers_overlap(
    client: httpx.Client, database_url: str, database: psycopg.Connection
) -> None:
    writers = [Writer(database_url, make_item(database, quantity=0), seed) for seed in range(WRITERS)]
    cursor, control = now(client), SequenceReader(database_url)
    with ThreadPoolExecutor(WRITERS + 2) as threads:
        loop = asyncio.get_running_loop()
        controlling = loop.run_in_executor(threads, control.follow)
        following = loop.run_in_executor(threads, follow_to_the_end, client, cursor)
        await asyncio.gather(*(loop.run_in_executor(threads, writer.write, COMMITS // WRITERS) for writer in writers))
        make_item(database, name="the end")
        told = await following
        control.is_stopped = True
        await controlling
    committed = [one for writer in writers for one in writer.committed]
    assert Counter(told) == Counter(committed), "nothing lost, nothing twice, nothing that was rolled back"
    for writer in writers:
        own = [one for one in told if one in writer.committed]
        assert own == writer.committed, "the changes of one item come in their order"
    assert set(committed) - set(control.read), "an id as cursor loses changes, or this test proves nothing"


def test_while_not_everything_is_logged_nothing_is_told(client: httpx.Client, database: psycopg.Connection) -> None:
    cursor = now(client)
    database.execute("ALTER TABLE inventory DISABLE TRIGGER inventory_log_insert")
    make_item(database)
    assert client.get("/api/changes", params={"after": cursor}).status_code == 503
    database.execute("ALTER TABLE inventory ENABLE TRIGGER inventory_log_insert")
    assert client.get("/api/changes", params={"after": cursor}).status_code == 410
