"""Accounts while something else happens to them at the same moment."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.accounts import BROWSER, PASSWORD, as_browser, make_account, on, sign_in, token_for
from tests.server import LiveServer
from tests.waiting import eventually
from webapp.access import accounts, invitations, sessions
from webapp.access.accounts import AccountError
from webapp.access.invitations import accept_invitation, invite
from webapp.postgres.queries import QUERIES
from webapp.roles import Principal, Role


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


def test_who_changes_a_password_that_is_changed_meanwhile_is_refused(
    shared_url: str, shared: psycopg.Connection
) -> None:
    account = make_account(shared_url, "Two change it at this moment", "viewer", PASSWORD)
    principal = Principal(Role.VIEWER, account.name, account.id)
    with psycopg.connect(shared_url) as quicker, ThreadPoolExecutor(1) as thread:
        quicker.execute("UPDATE inventory_accounts SET password_hash = 'another' WHERE id = %s", [account.id])
        slower = thread.submit(on, shared_url, accounts.change_password, principal, PASSWORD, "the slower one's")
        eventually(lambda: is_waiting(shared))
        quicker.commit()
        with pytest.raises(AccountError, match="not your current password"):
            slower.result()


def test_two_admins_cannot_take_each_other_away(database_url: str, database: psycopg.Connection) -> None:
    ada, grace = (make_account(database_url, name, "admin", PASSWORD) for name in ("Ada", "Grace"))
    with psycopg.connect(database_url) as quicker, ThreadPoolExecutor(1) as thread:
        quicker.execute(QUERIES["lock_accounts"])
        quicker.execute("UPDATE inventory_accounts SET role = 'viewer' WHERE id = %s", [ada.id])
        slower = thread.submit(on, database_url, accounts.delete_account, grace.id)
        eventually(lambda: is_waiting(database))
        quicker.commit()
        with pytest.raises(AccountError, match="the only admin"):
            slower.result()


@pytest.mark.parametrize("how", ["by a link", "oneself", "by the command"])
def test_nobody_waits_for_who_computes_a_digest(
    shared_url: str, shared: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    account = make_account(shared_url, f"Chooses a password {how}", "admin", PASSWORD)
    reached, goes_on = threading.Event(), threading.Event()

    async def compute(_: str) -> str:
        reached.set()
        await asyncio.to_thread(goes_on.wait, 10)
        return "a digest"

    for module in (accounts, invitations):
        monkeypatch.setattr(module, "hash_password", compute)
    acts: dict[str, tuple[Any, ...]] = {
        "by a link": (accept_invitation, on(shared_url, invite, account.id), "", PASSWORD, BROWSER),
        "oneself": (accounts.change_password, Principal(Role.ADMIN, account.name, account.id), PASSWORD, PASSWORD),
        "by the command": (accounts.set_password, account.id, PASSWORD),
    }
    with ThreadPoolExecutor(1) as thread:
        choosing = thread.submit(on, shared_url, *acts[how])
        assert reached.wait(10)
        shared.execute("SET lock_timeout = '1s'")
        shared.execute("INSERT INTO inventory_accounts (name, role) VALUES (%s, 'viewer')", [f"{how}, meanwhile"])
        shared.execute("UPDATE inventory_accounts SET role = 'viewer' WHERE id = %s", [account.id])
        goes_on.set()
        choosing.result()


@pytest.mark.parametrize("name", ["", "Invited"])
def test_of_two_who_use_a_link_at_the_same_moment_one_is_in(
    database_url: str, database: psycopg.Connection, name: str
) -> None:
    token = on(database_url, invite, make_account(database_url, name).id if name else None)
    with psycopg.connect(database_url) as quicker, ThreadPoolExecutor(1) as thread:
        quicker.execute(QUERIES["lock_accounts"])
        quicker.execute("DELETE FROM inventory_invitations")
        quicker.execute("INSERT INTO inventory_accounts (name, role) VALUES ('The quicker one', 'admin')")
        slower = thread.submit(on, database_url, accept_invitation, token, "The slower one", PASSWORD, BROWSER)
        eventually(lambda: is_waiting(database))
        quicker.commit()
        with pytest.raises(AccountError, match="has been used"):
            slower.result()


def test_what_has_expired_goes_and_nobody_waits_for_what_of_it_is_in_use(
    nobody: httpx.Client, shared_url: str, shared: psycopg.Connection
) -> None:
    account = make_account(shared_url, "Comes after a while", "editor", PASSWORD)
    expired = {
        "sessions": ("token_hash, account_id, address, agent, seen_at", f"{account.id}, '', ''"),
        "sign_in_attempts": ("digest, free, failures, expires_at", "5, 1"),
        "idempotency_keys": ("key, fingerprint, status, headers, body, created_at", "'', 200, '{}', ''"),
    }
    with psycopg.connect(shared_url) as using:
        for table, (columns, values) in expired.items():
            rows = ", ".join(f"('{name}', {values}, now() - interval '15 days')" for name in ("gone", "in use"))
            shared.execute(f"INSERT INTO inventory_{table} ({columns}) VALUES {rows}".encode())
            in_use = f"FROM inventory_{table} WHERE {columns.partition(',')[0]} = 'in use'"
            using.execute(f"SELECT {in_use} FOR UPDATE".encode())
        assert sign_in(nobody, account.name).status_code == 303
        new = {"name": "apples", "quantity": 1}
        assert nobody.post("/api/items", json=new, headers={"Idempotency-Key": "now"}).status_code == 201
    for table, (columns, _) in expired.items():
        name, time = columns.partition(",")[0], columns.rpartition(" ")[2]
        query = f"SELECT {name}::text::bytea FROM inventory_{table} WHERE {time} < now() - interval '14 days'"
        assert shared.execute(query.encode()).fetchall() == [(b"in use",)]


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
