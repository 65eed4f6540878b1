"""The console's commands for API tokens: `live-inventory token add NAME LABEL`, and the others."""

import argparse

from webapp.access import tokens
from webapp.access.tokens import USUAL_DAYS
from webapp.commands import Commands
from webapp.commands.accounts import find_id, run
from webapp.postgres.pool import Connection
from webapp.postgres.statements import Row


def add_commands(commands: Commands) -> None:
    """Add `token` and its own commands to the parser."""
    parser = commands.add_parser(
        "token", help="add, list and revoke API tokens, which programs use instead of a password"
    )
    own = parser.add_subparsers(metavar="what", required=True)
    adding = own.add_parser("add", help="create a token for an account and print it, this once")
    adding.add_argument("name", help="the account's name")
    adding.add_argument("label", help="what it is for")
    adding.add_argument("--write", action="store_true", help="it may change the stock, as far as the account may")
    adding.add_argument("--days", type=int, default=USUAL_DAYS, help=f"how long it lasts ({USUAL_DAYS})")
    adding.set_defaults(run=lambda options: run(add, options))
    listing = own.add_parser("list", help="list all tokens")
    listing.set_defaults(run=lambda _: run(show_all))
    revoking = own.add_parser("revoke", help="remove a token; whoever is connected with it is cut off")
    revoking.add_argument("id", type=int, help="its number in the list")
    revoking.set_defaults(run=lambda options: run(revoke, options))


async def add(connection: Connection, options: argparse.Namespace) -> str:
    """Print a new token."""
    owner = await find_id(connection, options.name)
    return f"{await tokens.add_token(connection, owner, options.label, options.days, may_write=options.write)}\n"


async def show_all(connection: Connection) -> str:
    """List all tokens."""
    lines = [
        f"{row['id']:>4}  {'write' if row['may_write'] else 'read':5}  until {row['expires_at']:%Y-%m-%d}"
        f"  {_use(row):15}  {row['account']}: {row['label']}\n"
        for row in await tokens.tokens_of(connection)
    ]
    return "".join(lines) or "There are no tokens.\n"


def _use(row: Row) -> str:
    return f"used {row['used_at']:%Y-%m-%d}" if row["used_at"] else "not used yet"


async def revoke(connection: Connection, options: argparse.Namespace) -> str:
    """Remove a token."""
    await tokens.remove_token(connection, options.id)
    return f"Token {options.id} is no longer valid.\n"
