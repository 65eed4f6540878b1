"""The console command, as a person or a process manager runs it."""

import re
import signal
import socket
import urllib.request
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from tests.command import call, refusal, refused, run, serving
from tests.integration.parts import free_port
from webapp import __version__


def closing_code(browser: ClientConnection) -> int | None:
    with suppress(ConnectionClosedError):
        for _ in browser:
            pass
    return browser.close_code


def test_a_url_that_cannot_be_read_is_explained() -> None:
    assert "DATABASE_URL cannot be read" in refusal("serve", DATABASE_URL="nonsense", PORT="0")


def test_a_server_that_is_down_is_explained() -> None:
    url = f"postgresql://someone:s3cret@127.0.0.1:{free_port()}/inventory"
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
    assert refused(run("migrate", PORT="many")).startswith("PORT: ")


def test_migrate_prepares_an_empty_database_and_may_be_repeated(empty_database: str) -> None:
    for _ in range(2):
        assert call("migrate", DATABASE_URL=empty_database).returncode == 0
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM inventory").fetchone() == (0,)


def test_psql_hands_its_arguments_on(database_url: str) -> None:
    done = run("psql", "-At", "-c", "SELECT count(*) FROM inventory", "-v", "h=1", DATABASE_URL=database_url)
    assert (done.stdout, done.returncode) == ("0\n", 0)


def test_version_says_which_release_it_is() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"Live Inventory {__version__}\n")


def test_url_never_prints_the_password() -> None:
    done = call("url", DATABASE_URL="postgresql://someone:s3cret@database.example/inventory")
    assert "database.example" in done.stdout
    assert "s3cret" not in done.stdout


def test_serve_says_where_the_page_is_and_for_whom_once_it_can_be_opened(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path / "log", HISTORY_DAYS="30") as server:
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=5) as answer:
            assert answer.status == 200
        assert "psql" in server.next_line()
        assert re.match(r"PostgreSQL \d+\.\d+.*; 1 process; history of 30 days$", server.next_line())
        assert "There are no accounts: anyone who can reach it may change the stock" in server.next_line()


def test_ctrl_c_ends_it_although_pages_are_open(database_url: str, tmp_path: Path) -> None:
    with (
        serving(database_url, tmp_path / "log") as server,
        connect(f"{server.socket_url}/live") as browser,
        connect(f"{server.socket_url}/messages"),
    ):
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=8) in (0, 130)
        assert closing_code(browser) == 1012  # service restart: the page will come back


def test_a_process_manager_ends_it_although_pages_are_open(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path / "log") as server, connect(f"{server.socket_url}/live"):
        server.process.terminate()
        assert server.process.wait(timeout=8) in (0, -signal.SIGTERM)
