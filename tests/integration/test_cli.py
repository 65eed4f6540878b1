"""The console command, as a person or a process manager runs it."""

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from webapp.settings import RESOURCES

COMMAND = [sys.executable, "-m", "webapp"]
OURS = (
    "DATABASE_URL",
    "LISTEN_DATABASE_URL",
    "HOST",
    "PORT",
    "DATA_DIR",
    "ALLOWED_HOSTS",
    "TIMEZONE",
    "LOG_FORMAT",
    "LOG_LEVEL",
)


def environment(**variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OURS} | variables


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**variables),
        cwd=RESOURCES,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def refusal(*arguments: str, **variables: str) -> str:
    """Run a command that must fail; return its message, which is not a traceback."""
    done = run(*arguments, **variables)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


@contextmanager
def serving(**variables: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Serve on a free port: the process, the page's address, and the line about the database."""
    command = [*COMMAND, "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environment(**variables), cwd=RESOURCES, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout
            page = process.stdout.readline().strip().removeprefix("Live Inventory is on ")
            yield process, page, process.stdout.readline()
        finally:
            process.kill()


def closing_code(browser: ClientConnection) -> int | None:
    with suppress(ConnectionClosedError):
        for _ in browser:
            pass
    return browser.close_code


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
def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_a_url_that_cannot_be_read_is_explained() -> None:
    assert "DATABASE_URL cannot be read" in refusal("serve", DATABASE_URL="nonsense", PORT="0")


def test_a_server_that_is_down_is_explained(free_port: int) -> None:
    url = f"postgresql://someone:s3cret@127.0.0.1:{free_port}/inventory"
    message = refusal("serve", DATABASE_URL=url, PORT="0")
    assert "Connection refused" in message
    assert "Check DATABASE_URL" in message
    assert "s3cret" not in message


def test_a_role_without_the_create_right_gets_the_line_that_helps(empty_database: str, stranger: str) -> None:
    url = make_conninfo(empty_database, user=stranger, password=stranger)
    assert f'GRANT USAGE, CREATE ON SCHEMA public TO "{stranger}";' in refusal("migrate", DATABASE_URL=url)


def test_tables_of_another_program_are_left_alone(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE inventory (theirs text)")
    assert "a table of another program" in refusal("migrate", DATABASE_URL=empty_database)


def test_a_newer_schema_is_left_alone(database: psycopg.Connection, database_url: str) -> None:
    database.execute("INSERT INTO inventory_migrations (name, checksum) VALUES ('9999_from_the_future', '')")
    assert "newer than this release" in refusal("serve", DATABASE_URL=database_url, PORT="0")


def test_a_port_that_is_taken_is_one_line(database_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        message = refusal("serve", DATABASE_URL=database_url, PORT=str(listening.getsockname()[1]))
    assert "in use" in message
    assert message.count("\n") == 1


def test_a_variable_that_cannot_be_used_is_named() -> None:
    assert refusal("migrate", PORT="many").startswith("PORT: ")


def test_migrate_prepares_an_empty_database_and_may_be_repeated(empty_database: str) -> None:
    for _ in range(2):
        assert run("migrate", DATABASE_URL=empty_database).returncode == 0
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM inventory").fetchone() == (0,)


def test_psql_hands_its_arguments_on(database_url: str) -> None:
    done = run("psql", "-At", "-c", "SELECT count(*) FROM inventory", "-v", "h=1", DATABASE_URL=database_url)
    assert (done.stdout, done.returncode) == ("0\n", 0)


def test_url_never_prints_the_password() -> None:
    done = run("url", DATABASE_URL="postgresql://someone:s3cret@database.example/inventory")
    assert "database.example" in done.stdout
    assert "s3cret" not in done.stdout


def test_serve_says_where_the_page_is_once_it_can_be_opened(database_url: str) -> None:
    with serving(DATABASE_URL=database_url, HISTORY_DAYS="30") as (process, page, database_line):
        with urllib.request.urlopen(f"{page}/healthz", timeout=5) as answer:
            assert answer.status == 200
        assert "psql" in database_line
        assert process.stdout
        summary = process.stdout.readline()
    assert re.match(r"PostgreSQL \d+\.\d+.*; 1 process; history of 30 days$", summary)


def test_ctrl_c_ends_it_although_pages_are_open(database_url: str) -> None:
    with (
        serving(DATABASE_URL=database_url) as (process, page, _),
        connect(f"{page.replace('http', 'ws')}/live") as browser,
        connect(f"{page.replace('http', 'ws')}/messages"),
    ):
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=8) in (0, 130)
        assert closing_code(browser) == 1012  # service restart: the page will come back


def test_a_process_manager_ends_it_although_pages_are_open(database_url: str) -> None:
    with (
        serving(DATABASE_URL=database_url) as (process, page, _),
        connect(f"{page.replace('http', 'ws')}/live"),
    ):
        process.terminate()
        assert process.wait(timeout=8) in (0, -signal.SIGTERM)
