"""Accounts while something else happens to them at the same moment."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.accounts import PASSWORD, as_browser, make_account, on, sign_in, token_for
from tests.server import LiveServer
from tests.waiting import eventually
from webapp.access import accounts, invitations, sessions
from webapp.access.invitations import invite


@pytest.mark.parametrize("act", ["sign in", "invite", "make a token"])
def test_who_is_deleted_at_this_moment_is_gone(
    admin: httpx.Client, guarded_server: LiveServer, shared_url: str, shared: psycopg.Connection, act: str
) -> None:
    account = make_account(shared_url, f"Deleted as some {act}", "admin", PASSWORD)
    with (
        as_browser(guarded_server, token_for(shared_url, account)) as client,
        psycopg.connect(shared_url) as deleting,
        ThreadPoolExecutor(1) as thread,
    ):
        deleting.execute("DELETE FROM inventory_accounts WHERE id = %s", [account.id])
        if act == "sign in":
            acting, status = thread.submit(sign_in, client, account.name), 401
        elif act == "invite":
            acting, status = thread.submit(admin.post, f"/accounts/{account.id}/invite"), 409
        else:
            new = {"label": "too late", "days": "9"}
            acting, status = thread.submit(client.post, "/account/tokens", data=new), 401
        eventually(lambda: is_waiting(shared))
        deleting.commit()
        assert acting.result().status_code == status


def is_waiting(database: psycopg.Connection) -> bool:
    """Whether a session waits for another's lock."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return database.execute(waiting).rowcount > 0


def test_who_signs_in_while_the_password_is_changed_is_not_in(
    nobody: httpx.Client, shared_url: str, shared: psycopg.Connection
) -> None:
    account = make_account(shared_url, "Changes it at this moment", "viewer", PASSWORD)
    with psycopg.connect(shared_url) as changing, ThreadPoolExecutor(1) as thread:
        changing.execute("UPDATE inventory_accounts SET password_hash = 'another' WHERE id = %s", [account.id])
        signing_in = thread.submit(sign_in, nobody, account.name)
        eventually(lambda: is_waiting(shared))
        changing.execute("DELETE FROM inventory_sessions WHERE account_id = %s", [account.id])
        changing.commit()
        assert signing_in.result().status_code == 401


def test_nobody_waits_for_who_computes_a_digest(
    nobody: httpx.Client, shared_url: str, shared: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = make_account(shared_url, "Takes the time")
    token, reached, goes_on = on(shared_url, invite, account.id), threading.Event(), threading.Event()

    async def compute(_: str) -> str:
        reached.set()
        await asyncio.to_thread(goes_on.wait, 10)
        return "a digest"

    for module in (accounts, invitations):
        monkeypatch.setattr(module, "hash_password", compute)
    with ThreadPoolExecutor(1) as thread:
        accepting = thread.submit(nobody.post, "/invitation", data={"token": token, "password": PASSWORD})
        assert reached.wait(10)
        shared.execute("SET lock_timeout = '1s'")
        make_account(shared_url, "Made meanwhile")
        shared.execute("UPDATE inventory_accounts SET role = 'viewer' WHERE id = %s", [account.id])
        goes_on.set()
        assert accepting.result().status_code == 303


def test_processes_are_told_of_what_ends_and_not_of_what_was_nothing(
    nobody: httpx.Client, shared_url: str, shared: psycopg.Connection
) -> None:
    account = make_account(shared_url, "Is told of", "viewer", PASSWORD)
    for _ in range(3):
        token_for(shared_url, account)
    shared.execute("LISTEN inventory_accounts")
    nobody.post("/sign-out")
    sign_in(nobody, account.name)
    shared.execute("NOTIFY inventory_accounts, 'up to here nothing has ended'")
    on(shared_url, sessions.close_sessions, account.id)
    shared.execute("NOTIFY inventory_accounts, 'the end'")
    told: list[str] = []
    while "the end" not in told:
        told += [each.payload for each in shared.notifies(timeout=10, stop_after=1)]
    assert told == ["up to here nothing has ended", "", "the end"]
