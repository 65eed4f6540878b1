"""The console's commands for accounts: `live-inventory account add NAME`, and the others."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from webapp.access import accounts, sessions, tokens
from webapp.access.accounts import AccountError
from webapp.access.invitations import invite
from webapp.commands import Commands
from webapp.postgres.database import dedicated_conninfo, prepare
from webapp.postgres.pool import Connection, configure
from webapp.roles import GIVEN_ROLES, Role
from webapp.settings import SetupError, load_settings

T = TypeVar("T")


def add_commands(commands: Commands) -> None:
    """Add `account` and its own commands to the parser."""
    parser = commands.add_parser("account", help="add, list and change the accounts of those who sign in")
    own = parser.add_subparsers(metavar="what", required=True)
    adding = _add(own, "add", add, "add an account; asks for its password, or reads it from standard input")
    adding.add_argument("--role", choices=GIVEN_ROLES, default="editor", help="what it may do (editor)")
    _add(own, "role", set_role, "give an account another role").add_argument("role", choices=GIVEN_ROLES)
    _add(own, "password", set_password, "set a new password; signs out its devices and removes its API tokens")
    leaving = _add(own, "sign-out", sign_out, "sign an account out on all its devices")
    leaving.add_argument("--tokens", action="store_true", help="remove its API tokens too")
    _add(own, "remove", remove, "delete an account")
    listing = own.add_parser("list", help="list all accounts")
    listing.set_defaults(run=lambda _: run(show_all))


def _add(commands: Commands, name: str, act: Callable[..., Awaitable[str]], text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text)
    parser.add_argument("name", help="the account's name")
    parser.set_defaults(run=lambda options: run(act, options))
    return parser


async def add(connection: Connection, options: argparse.Namespace) -> str:
    """Add an account; the first one administers, or nobody could."""
    if options.role != Role.ADMIN.label and not await sessions.all_accounts(connection):
        raise AccountError("The first account is for an admin: add --role admin")
    account = await accounts.add_account(connection, options.name, options.role, _ask_password())
    return f"{account.name} may sign in now, as {account.role.label}.\n"


async def set_role(connection: Connection, options: argparse.Namespace) -> str:
    """Give an account another role."""
    account_id = await find_id(connection, options.name)
    await accounts.set_role(connection, account_id, options.role, without_password=_without_password())
    return f"{options.name} is {options.role} now.\n"


async def set_password(connection: Connection, options: argparse.Namespace) -> str:
    """Set another password."""
    await accounts.set_password(connection, await find_id(connection, options.name), _ask_password())
    return f"{options.name} has a new password, is signed out everywhere, and no longer has API tokens.\n"


async def sign_out(connection: Connection, options: argparse.Namespace) -> str:
    """End all sessions of an account."""
    account_id = await find_id(connection, options.name)
    await sessions.close_sessions(connection, account_id)
    if options.tokens:
        await tokens.remove_tokens(connection, account_id)
    return f"{options.name} is signed out everywhere{', and no longer has API tokens' if options.tokens else ''}.\n"


async def remove(connection: Connection, options: argparse.Namespace) -> str:
    """Delete an account; the last of all may go, and then it is open again."""
    account_id, without_password = await find_id(connection, options.name), _without_password()
    await accounts.delete_account(connection, account_id, without_password=without_password, may_be_last=True)
    return f"{options.name} is gone.\n"


async def show_all(connection: Connection) -> str:
    """List all accounts."""
    rows = await sessions.all_accounts(connection)
    lines = [f"{row['role']:6}  {_last_seen(row):16}  {row['name']}\n" for row in rows]
    return "".join(lines) or "There are no accounts.\n"


def are_there_any(url: str) -> bool:
    """Whether there are accounts."""
    return bool(asyncio.run(_connected(url, sessions.all_accounts)))


def first_link(url: str, page_url: str) -> str:
    """Return a link by which the first account is made, once."""
    return f"{page_url}/invitation?token={asyncio.run(_connected(url, invite))}"


def _without_password() -> bool:
    return load_settings().trusted_user_header is not None


def _last_seen(row: dict[str, Any]) -> str:
    return f"{row['seen_at']:%Y-%m-%d %H:%M}" if row["seen_at"] else "-"


async def find_id(connection: Connection, name: str) -> int:
    """Return the id of the account of a name. Raises `AccountError`."""
    account = await accounts.find_by_name(connection, name)
    if account is None:
        raise AccountError(f"There is no account called {name}.")
    return account.id


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("The same again: "):
        raise AccountError("The two passwords are not the same.")
    return password


def run(act: Callable[..., Awaitable[str]], *arguments: argparse.Namespace) -> None:
    """Act on a connection of its own and print what it says; an `AccountError` becomes a `SetupError`."""
    try:
        sys.stdout.write(asyncio.run(_connected(prepare(load_settings()).url, act, *arguments)))
    except AccountError as error:
        raise SetupError(str(error)) from error
    except psycopg.OperationalError as error:
        raise SetupError(f"The database does not do it: {str(error).partition(chr(10))[0]}") from error


async def _connected(url: str, act: Callable[..., Awaitable[T]], *arguments: argparse.Namespace) -> T:
    connection = await psycopg.AsyncConnection[dict[str, Any]].connect(
        dedicated_conninfo(url, "live-inventory account"), autocommit=True, row_factory=dict_row
    )
    async with connection:
        await configure(connection)
        return await act(connection, *arguments)
