"""`live-inventory account ...`, and how a server that other machines reach gets its first account."""

import os
import re
import subprocess
import sys

import httpx
import pytest

from tests.accounts import PASSWORD, on
from webapp import accounts, sessions, tokens
from webapp.settings import RESOURCES

COMMAND = [sys.executable, "-m", "webapp"]


def account(url: str, *arguments: str, typed: str = "", of: str = "account") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, of, *arguments],
        env=os.environ | {"DATABASE_URL": url},
        cwd=RESOURCES,
        input=typed,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_accounts_are_kept_from_the_command_line(database_url: str) -> None:
    assert account(database_url, "list").stdout == "There are no accounts.\n"
    added = account(database_url, "add", "Ada", "--role", "admin", typed=f"{PASSWORD}\n")
    assert added.stdout == "Ada may sign in now, as admin.\n", added.stderr
    assert account(database_url, "role", "ada", "viewer").stderr.startswith("Ada is the only admin")
    assert account(database_url, "sign-out", "ada").returncode == 0
    assert "admin" in account(database_url, "list").stdout
    assert account(database_url, "remove", "ada").stdout == "ada is gone.\n"
    assert on(database_url, sessions.all_accounts) == []


def test_tokens_are_kept_from_the_command_line(database_url: str) -> None:
    on(database_url, accounts.add_account, "Ada", "admin")
    made = account(database_url, "add", "ada", "nightly import", "--write", "--days", "30", of="token")
    token = made.stdout.strip()
    assert re.fullmatch(r"li_[\w-]{43}", token), made.stderr
    assert on(database_url, tokens.find_token, token).role.label == "editor"
    listed = account(database_url, "list", of="token").stdout
    assert "write" in listed
    assert "Ada: nightly import" in listed
    assert account(database_url, "revoke", listed.split()[0], of="token").returncode == 0
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
    done = account(database_url, *arguments, typed=typed)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(message)


@pytest.mark.parametrize("is_open", [False, True])
def test_an_address_that_others_reach_is_open_only_where_that_is_said(database_url: str, *, is_open: bool) -> None:
    command = [*COMMAND, "serve", "--host", "0.0.0.0", "--port", "0", *(["--open"] if is_open else [])]
    environment = os.environ | {"DATABASE_URL": database_url}
    with subprocess.Popen(command, env=environment, cwd=RESOURCES, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(4)]
            port = re.findall(r":(\d+)$", lines[0].strip())[0]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", verify=False) as client:
                assert client.get("/").status_code == (200 if is_open else 303)
                if not is_open:
                    make_the_first(client, lines[3])
        finally:
            process.kill()


def make_the_first(client: httpx.Client, line: str) -> None:
    found = re.search(r"/invitation\?token=(\S+)", line)
    assert found, line
    assert "Make the first account" in client.get(found[0]).text
    form = {"token": found[1], "name": "Ada", "password": PASSWORD}
    assert client.post("/invitation", data=form).status_code == 303
    assert "Accounts" in client.get("/").text
    client.cookies.clear()
    assert client.get(found[0]).status_code == 410
