"""`live-inventory account ...`, and how a server that other machines reach gets its first account."""

import re
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.accounts import PASSWORD, on
from tests.command import call, run, serving
from webapp.access import accounts, sessions, tokens


def test_accounts_are_kept_from_the_command_line(database: psycopg.Connection, database_url: str) -> None:
    assert call("account", "list", DATABASE_URL=database_url).stdout == "There are no accounts.\n"
    added = run("account", "add", "Ada", "--role", "admin", stdin=f"{PASSWORD}\n", DATABASE_URL=database_url)
    assert added.stdout == "Ada may sign in now, as admin.\n", added.stderr
    (kept,) = database.execute("SELECT password_hash FROM inventory_accounts").fetchone() or [""]
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$"), "as RFC 9106 recommends where memory is scarce"
    assert call("account", "role", "ada", "viewer", DATABASE_URL=database_url).stderr.startswith(
        "Ada is the only admin"
    )
    assert call("account", "sign-out", "ada", DATABASE_URL=database_url).returncode == 0
    assert "admin" in call("account", "list", DATABASE_URL=database_url).stdout
    assert call("account", "remove", "ada", DATABASE_URL=database_url).stdout == "ada is gone.\n"
    assert on(database_url, sessions.all_accounts) == []


def test_tokens_are_kept_from_the_command_line(database_url: str) -> None:
    on(database_url, accounts.add_account, "Ada", "admin")
    made = call("token", "add", "ada", "nightly import", "--write", "--days", "30", DATABASE_URL=database_url)
    token = made.stdout.strip()
    assert re.fullmatch(r"li_[\w-]{43}", token), made.stderr
    assert on(database_url, tokens.find_token, token).role.label == "editor"
    listed = call("token", "list", DATABASE_URL=database_url).stdout
    assert "write" in listed
    assert "Ada: nightly import" in listed
    assert call("token", "revoke", listed.split()[0], DATABASE_URL=database_url).returncode == 0
    assert on(database_url, tokens.find_token, token) is None


@pytest.mark.parametrize(
    ("arguments", "typed", "message"),
    [
        (("add", "Ada"), f"{PASSWORD}\n", "The first account is for an admin: add --role admin"),
        (("add", "Ada", "--role", "admin"), "short\n", "A password has at least 10 characters"),
        (("add", " ", "--role", "admin"), f"{PASSWORD}\n", "Give the account a name."),
        (("remove", "Nobody"), "", "There is no account called Nobody."),
    ],
)
def test_what_cannot_be_done_is_one_line(
    database_url: str, arguments: tuple[str, ...], typed: str, message: str
) -> None:
    done = call("account", *arguments, stdin=typed, DATABASE_URL=database_url)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(message)


@pytest.mark.parametrize("is_open", [False, True])
def test_an_address_that_others_reach_is_open_only_where_that_is_said(
    database_url: str, tmp_path: Path, *, is_open: bool
) -> None:
    options = ["--host", "0.0.0.0", *(["--open"] if is_open else [])]
    with (
        serving(database_url, tmp_path / "log", *options) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", verify=False) as client,
    ):
        *_, last = (server.next_line() for _ in range(3))
        assert client.get("/").status_code == (200 if is_open else 303)
        if not is_open:
            make_the_first(client, last)


def make_the_first(client: httpx.Client, line: str) -> None:
    found = re.search(r"/invitation\?token=(\S+)", line)
    assert found, line
    assert "Create the first account" in client.get(found[0]).text
    form = {"token": found[1], "name": "Ada", "password": PASSWORD}
    assert client.post("/invitation", data=form).status_code == 303
    assert "Accounts" in client.get("/").text
    client.cookies.clear()
    assert client.get(found[0]).status_code == 410
