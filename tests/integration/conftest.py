"""A server for the tests of a module, where each makes what it needs and none relies on what is there."""

import logging
import secrets
from collections.abc import AsyncIterator, Iterator

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.accounts import PASSWORD, as_browser, make_account, on, token_for, wait_until_closed
from tests.server import LiveServer, serve
from webapp.access import accounts
from webapp.live import finder, item_list, tallies, tally
from webapp.postgres.database import Database
from webapp.postgres.pool import Pool, open_pool


@pytest.fixture(scope="module")
def shared_server(shared_url: str) -> Iterator[LiveServer]:
    """The application on the shared database."""
    with serve(shared_url, allowed_hosts="stock.example.com", open_to_all=True) as running:
        yield running


@pytest.fixture
def server(database_url: str) -> Iterator[LiveServer]:
    """The application on a database of the test's own."""
    with serve(database_url) as running:
        yield running


@pytest.fixture
def shared(shared_url: str) -> Iterator[psycopg.Connection]:
    """A connection to the shared database."""
    with psycopg.connect(shared_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def empty_database(admin_url: str) -> Iterator[str]:
    """Address of a database with nothing in it."""
    name = sql.Identifier(f"test_{secrets.token_hex(6)}")
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(name))
        yield make_conninfo(admin_url, dbname=name.as_string().strip('"'))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def stranger(admin_url: str) -> Iterator[str]:
    """Name of a role that owns nothing; its password is its name."""
    name = f"stranger_{secrets.token_hex(6)}"
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), name))
        yield name
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def no_items(shared: psycopg.Connection) -> None:
    """Empty the shared inventory, where a test counts what is in it."""
    shared.execute("DELETE FROM inventory")


@pytest.fixture
async def pool(shared_url: str) -> AsyncIterator[Pool]:
    """Connections to the shared database."""
    async with open_pool(Database(shared_url, shared_url)) as pool:
        yield pool


@pytest.fixture
def small_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three rows, and so few numbers kept that searches are done in every way there is."""
    monkeypatch.setattr(item_list, "PAGE_ROWS", 3)
    monkeypatch.setattr(item_list, "MARGIN_ROWS", 2)
    monkeypatch.setattr(finder, "NEAR", 10)
    monkeypatch.setattr(finder, "DEEP", 6)
    for module in (tallies, tally):
        monkeypatch.setattr(module, "KEPT_IDS", 8)


@pytest.fixture
def visitor(shared_server: LiveServer) -> Iterator[httpx.Client]:
    """A client without scripts, as plain forms and links are."""
    with httpx.Client(base_url=shared_server.url, verify=False, timeout=20) as client:
        yield client


@pytest.fixture
def htmx(shared_server: LiveServer) -> Iterator[httpx.Client]:
    """A client that asks for pieces, as htmx does."""
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    with httpx.Client(base_url=shared_server.url, verify=False, timeout=20, headers=headers) as client:
        yield client


@pytest.fixture
def uvicorn_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What uvicorn says of errors."""
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture(scope="module")
def guarded_server(shared_url: str) -> Iterator[LiveServer]:
    """The application with an account: Ada, who is an admin."""
    with serve(shared_url) as running:
        make_account(shared_url, "Ada", "admin", PASSWORD)
        wait_until_closed(running)
        yield running


@pytest.fixture
def nobody(guarded_server: LiveServer) -> Iterator[httpx.Client]:
    """A browser without scripts that nobody has signed in with."""
    with as_browser(guarded_server) as client:
        yield client


@pytest.fixture
def admin(guarded_server: LiveServer, shared_url: str) -> Iterator[httpx.Client]:
    """Ada's browser."""
    ada = on(shared_url, accounts.find_by_name, "Ada")
    with as_browser(guarded_server, token_for(shared_url, ada)) as client:
        yield client
