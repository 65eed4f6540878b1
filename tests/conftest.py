"""Real parts for the tests: a PostgreSQL cluster per worker, a database per test, a Chromium per run."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest
from argon2 import PasswordHasher
from hypothesis import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from webapp.access import passwords
from webapp.postgres.embedded import EmbeddedServer
from webapp.postgres.migrations import migrate

settings.register_profile("untimed", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run browser tests last: Playwright leaves a running loop behind, in which no async test can start its own."""
    items.sort(key=lambda item: "e2e" in item.path.parts)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on the loop that the application runs on."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Let a password cost next to nothing within the tests' process; what the command starts takes the whole cost."""
    with patch.object(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)):
        yield


@pytest.fixture(scope="session")
def admin_url() -> Iterator[str]:
    """Address of a server where databases may be created: TEST_DATABASE_URL, or one that lives as long as the run."""
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    folder = Path(tempfile.mkdtemp(prefix="live-inventory-test-"))
    folder.chmod(0o755)
    server = EmbeddedServer(folder, durable=False)
    try:
        url = server.start()
        server.guard(delete=True)
        yield url
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def template(admin_url: str) -> Iterator[str]:
    """Name of a migrated database that others are copied from."""
    name = f"template_{secrets.token_hex(4)}"
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(name))
        )
        migrate(make_conninfo(admin_url, dbname=name))
        yield name
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database_url(admin_url: str, template: str) -> Iterator[str]:
    """Address of a fresh, migrated, empty database."""
    with _copy(admin_url, template) as url:
        yield url


@pytest.fixture(scope="module")
def shared_url(admin_url: str, template: str) -> Iterator[str]:
    """Address of a migrated database that the tests of a module share."""
    with _copy(admin_url, template) as url:
        yield url


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to the test's database, autocommit, as any program would have it."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@contextmanager
def _copy(admin_url: str, template: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        yield make_conninfo(admin_url, dbname=name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
