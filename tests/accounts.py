"""Accounts for tests: made in the database, and signed in without a form."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from tests.server import LiveServer
from tests.waiting import eventually
from webapp.access import accounts, sessions
from webapp.access.accounts import Account
from webapp.access.sessions import Device

PASSWORD = "correct horse battery"
LINK = re.compile(r"http://[^<]*(/invitation\?token=[\w-]+)")
BROWSER = Device("192.0.2.1", "A browser")


def on(url: str, act: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
    """Run an operation on a connection of its own."""

    async def run() -> Any:
        connection = await psycopg.AsyncConnection[dict[str, Any]].connect(url, autocommit=True, row_factory=dict_row)
        async with connection:
            return await act(connection, *arguments, **options)

    with ThreadPoolExecutor(1) as thread:  # Playwright has a loop of its own in the tests' thread
        return thread.submit(lambda: asyncio.run(run())).result()


def make_account(url: str, name: str, role: str = "editor", password: str | None = None) -> Account:
    """Add an account."""
    account: Account = on(url, accounts.add_account, name, role, password)
    return account


def token_for(url: str, account: Account) -> str:
    """Return the token of a new session."""
    token: str = on(url, sessions.open_session, account.id, BROWSER)
    return token


def as_browser(server: LiveServer, token: str = "") -> httpx.Client:
    """Return a client that is signed in with a token, or not at all."""
    headers = cookie(server, token) if token else {}
    return httpx.Client(base_url=server.url, verify=False, timeout=20, headers=headers)


def cookie(server: LiveServer, token: str) -> dict[str, str]:
    """Return the header by which a browser shows a token."""
    return {"Cookie": f"session-{server.port}={token}"}


def sign_in(client: httpx.Client, name: str = "Ada", password: str = PASSWORD, **more: str) -> httpx.Response:
    """Post the form."""
    return client.post("/sign-in", data={"name": name, "password": password, **more})


def wait_until_closed(server: LiveServer) -> None:
    """Wait until the server has noticed that there are accounts."""
    eventually(lambda: httpx.get(f"{server.url}/", verify=False).status_code == 303)
