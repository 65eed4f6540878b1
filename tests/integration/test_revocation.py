"""Sockets of those who may no longer be there are closed, on every process, and pages say so."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.accounts import as_browser, cookie, make_account, on, token_for, wait_until_closed
from tests.server import LiveServer, serve
from tests.waiting import eventually
from webapp.access import accounts, doorkeeper, sessions
from webapp.access.accounts import Account
from webapp.pages import imports

Watch = Callable[..., ClientConnection]
RESUME = '{"type": "resume"}'


@pytest.fixture(scope="module")
def servers(shared_url: str) -> Iterator[list[LiveServer]]:
    with serve(shared_url) as one, serve(shared_url, hand_off=False) as other:
        make_account(shared_url, "an admin", "admin")
        for each in (one, other):
            wait_until_closed(each)
        yield [one, other]


@pytest.fixture
def account(shared_url: str, request: pytest.FixtureRequest) -> Account:
    return make_account(shared_url, request.node.name[:64], "editor")


@pytest.fixture
def watch() -> Iterator[Watch]:
    with ExitStack() as open_sockets:

        def open_socket(server: LiveServer, token: str, path: str = "/live") -> ClientConnection:
            headers = cookie(server, token)
            socket = open_sockets.enter_context(connect(f"{server.socket_url}{path}", additional_headers=headers))
            if path == "/live":
                socket.send(RESUME)
                socket.recv(5)
            return socket

        yield open_socket


def end_of(socket: ClientConnection) -> tuple[int | None, str]:
    """Return the close code, and the last that was told before. Raises `TimeoutError`: beats alone are no end."""
    last, ends_at = "", time.monotonic() + 10
    try:
        while True:
            last = str(socket.recv(max(0, ends_at - time.monotonic())))
    except ConnectionClosed as error:
        return error.rcvd.code if error.rcvd else None, last


def test_ending_a_session_closes_its_sockets_everywhere_and_no_other(
    watch: Watch, servers: list[LiveServer], account: Account, shared_url: str
) -> None:
    token, other = token_for(shared_url, account), token_for(shared_url, account)
    sockets = [watch(server, token) for server in servers]
    programs = [watch(server, token, "/messages") for server in servers]
    kept = [watch(server, other) for server in servers]
    on(shared_url, sessions.close_session, token)
    for socket in sockets:
        code, last = end_of(socket)
        assert code == 1008
        assert "Sign in again" in last
    assert [end_of(socket)[0] for socket in programs] == [1008, 1008]
    for socket in kept:
        assert socket.ping().wait(5)


def test_an_export_under_way_is_cut_off_and_no_other(
    watch: Watch,
    servers: list[LiveServer],
    account: Account,
    shared_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def endless(*_: object) -> AsyncIterator[bytes]:
        while True:
            yield b"apples\r\n"
            await asyncio.sleep(0.02)

    monkeypatch.setattr(imports, "export_csv", endless)
    token, other = token_for(shared_url, account), token_for(shared_url, account)
    with (
        as_browser(servers[0], token) as ended,
        as_browser(servers[0], other) as kept,
        ended.stream("GET", "/export.csv") as cut,
        kept.stream("GET", "/export.csv") as whole,
    ):
        rest = whole.iter_raw()
        on(shared_url, sessions.close_session, token)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            cut.read()
        page = watch(servers[0], other)
        on(shared_url, accounts.set_role, account.id, "viewer")
        assert end_of(page)[0] == 1012
        for _ in range(10):
            assert next(rest), "whoever has another role may read on"
    eventually(lambda: not servers[0].app.state.doorkeeper.visits)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told == [("WARNING", "the answer to /export.csv was cut off: who asked is signed out")]


def test_deleting_an_account_closes_its_sockets(
    watch: Watch, servers: list[LiveServer], account: Account, shared_url: str
) -> None:
    socket = watch(servers[0], token_for(shared_url, account))
    on(shared_url, accounts.delete_account, account.id)
    assert end_of(socket)[0] == 1008


def test_another_role_lets_a_page_come_back_with_it(
    watch: Watch, servers: list[LiveServer], account: Account, shared_url: str
) -> None:
    token = token_for(shared_url, account)
    socket = watch(servers[0], token)
    on(shared_url, accounts.set_role, account.id, "viewer")
    assert end_of(socket)[0] == 1012
    watch(servers[0], token)


def test_a_notification_is_enough(watch: Watch, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "LOOK_S", 3600)
    token = token_for(database_url, make_account(database_url, "Ada", "admin"))
    with serve(database_url) as server:
        socket = watch(server, token)
        on(database_url, sessions.close_session, token)
        assert end_of(socket)[0] == 1008


def test_a_lost_notification_costs_a_second(
    watch: Watch, servers: list[LiveServer], account: Account, shared_url: str, shared: psycopg.Connection
) -> None:
    token = token_for(shared_url, account)
    socket = watch(servers[0], token)
    shared.execute("SET session_replication_role = replica")  # no trigger, so nobody is told
    shared.execute("DELETE FROM inventory_sessions WHERE account_id = %s", [account.id])
    assert end_of(socket)[0] == 1008


def test_who_is_nobody_gets_no_socket(servers: list[LiveServer]) -> None:
    for path in ("/live", "/messages"):
        with pytest.raises(InvalidStatus) as refusal, connect(f"{servers[0].socket_url}{path}"):
            pass
        assert refusal.value.response.status_code == 403


def test_the_first_account_ends_what_was_open(watch: Watch, database_url: str) -> None:
    with serve(database_url) as server:
        socket = watch(server, "")
        make_account(database_url, "the first", "admin")
        assert end_of(socket)[0] == 1008
        eventually(lambda: not server.app.state.doorkeeper.visits)


def test_a_watched_page_keeps_its_session_alive(
    watch: Watch, servers: list[LiveServer], account: Account, shared_url: str, shared: psycopg.Connection
) -> None:
    watch(servers[0], token_for(shared_url, account))
    shared.execute(
        "UPDATE inventory_sessions SET seen_at = now() - interval '1 day' WHERE account_id = %s", [account.id]
    )
    recent = "SELECT seen_at > now() - interval '1 minute' FROM inventory_sessions WHERE account_id = %s"
    eventually(lambda: shared.execute(recent, [account.id]).fetchone() == (True,))
