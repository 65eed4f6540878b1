"""The console's commands for the database itself: `migrate`, `psql` and `url`."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from psycopg.conninfo import make_conninfo

from webapp.commands import Commands
from webapp.postgres.binaries import find_binaries
from webapp.postgres.database import parameters_of, prepare
from webapp.postgres.embedded import EmbeddedServer, default_data_dir
from webapp.postgres.migrations import migrate
from webapp.settings import load_settings

_SECRETS = ("password", "sslpassword")


def add_commands(commands: Commands) -> None:
    """Add the three commands to the parser."""
    parser = commands.add_parser("migrate", help="bring the database's schema up to date")
    parser.set_defaults(run=bring_up_to_date)
    # With a prefix that nobody types every argument is psql's own, -c and -h too.
    parser = commands.add_parser("psql", help="open the database in psql", add_help=False, prefix_chars="\n")
    parser.add_argument("arguments", nargs="*", help="passed on to psql")
    parser.set_defaults(run=open_psql)
    parser = commands.add_parser("url", help="print the database's address, without its password")
    parser.set_defaults(run=print_url)


def bring_up_to_date(options: argparse.Namespace) -> None:  # noqa: ARG001
    """Apply the missing migrations."""
    prepare(load_settings())
    sys.stdout.write("The database's schema is up to date.\n")


def open_psql(options: argparse.Namespace) -> None:
    """Become psql; the embedded server runs for as long as psql does."""
    settings = load_settings()
    if settings.database_url is None:
        server = EmbeddedServer(default_data_dir(settings))
        server.guard()
        url = server.start()
        migrate(url)
        server.survive_exec()
        _become(server.psql_path, url, options.arguments)
    _become(_psql_on_path(), settings.database_url or "", options.arguments)


def print_url(options: argparse.Namespace) -> None:  # noqa: ARG001
    """Print the address; an embedded server answers there while another command runs it."""
    settings = load_settings()
    url = settings.database_url or EmbeddedServer(default_data_dir(settings)).url
    sys.stdout.write(f"{without_secrets(url)}\n")


def without_secrets(url: str) -> str:
    """Return an address as others may see it."""
    parameters = parameters_of(url)
    kept = {name: value for name, value in parameters.items() if name not in _SECRETS}
    return url if kept == parameters else make_conninfo(**kept)


def _psql_on_path() -> Path:
    found = shutil.which("psql")
    return Path(found) if found else find_binaries().folder / "psql"


def _become(psql: Path, url: str, arguments: list[str]) -> None:
    password = parameters_of(url).get("password")
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})  # not in sight of `ps`
    # psql finds its own files by the path it was started with.
    os.execve(psql, [str(psql), "-d", without_secrets(url), *arguments], environment)  # noqa: S606
