"""The console command: `live-inventory serve` and the others, one small function each."""

import argparse
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from webapp.commands import accounts, files, tokens, upkeep
from webapp.postgres.binaries import find_binaries
from webapp.postgres.database import Database, prepare
from webapp.postgres.embedded import EmbeddedServer, default_data_dir
from webapp.postgres.hearing import check_hearing
from webapp.postgres.migrations import migrate
from webapp.server import serving
from webapp.settings import PACKAGE, RESOURCES, Settings, SetupError, load_settings

_SECRETS = ("password", "sslpassword")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; `SetupError` becomes its message and status 1."""
    options = _parser().parse_args(_with_command(sys.argv[1:] if arguments is None else arguments))
    try:
        options.run(options)
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _with_command(arguments: list[str]) -> list[str]:
    """Add `serve` where no command is named."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help"}):
        return ["serve", *arguments]
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="live-inventory", description="Live Inventory: a stock page that never lags.")
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_serve(commands)
    _add_migrate(commands)
    _add_psql(commands)
    _add_url(commands)
    accounts.add_commands(commands)
    tokens.add_commands(commands)
    files.add_commands(commands)
    upkeep.add_commands(commands)
    return parser


Commands = argparse._SubParsersAction  # argparse gives the type no other name


def _add_serve(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("serve", help="serve the page (also when no command is named)")
    parser.add_argument("--host", help="address to listen on (HOST, else 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="port to listen on, 0 for any free one (PORT, else 8000)")
    parser.add_argument(
        "--open", action="store_true", help="let everybody in who reaches it, as long as there are no accounts"
    )
    processes = parser.add_mutually_exclusive_group()
    processes.add_argument("--workers", type=_count, metavar="N", help="processes that serve (WEB_CONCURRENCY, else 1)")
    processes.add_argument("--reload", action="store_true", help="start again when a file of the project changes")
    parser.set_defaults(run=serve)


def _add_migrate(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("migrate", help="bring the database's schema up to date")
    parser.set_defaults(run=bring_up_to_date)


def _add_psql(commands: "Commands[argparse.ArgumentParser]") -> None:
    # With a prefix that nobody types every argument is psql's own, -c and -h too.
    parser = commands.add_parser("psql", help="open the database in psql", add_help=False, prefix_chars="\n")
    parser.add_argument("arguments", nargs="*", help="handed on to psql")
    parser.set_defaults(run=open_psql)


def _add_url(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser("url", help="print the database's address, without its password")
    parser.set_defaults(run=print_url)


def serve(options: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    os.environ.update(_wishes(options))  # the processes that serve read them as everybody else's
    settings = load_settings()
    with serving.listen(settings.host, settings.port) as listening:
        database = prepare(settings)  # as the application does it, but before it starts: an error is one message
        check_hearing(database.url, database.listen_url)
        workers = 1 if options.reload else options.workers or settings.web_concurrency
        notes = [
            f"Its database: {_psql_command()}, or any psql: psql {shlex.quote(_without_secrets(database.url))}",
            f"{_describe(database)}; {workers} process{'es' * (workers > 1)};"
            f" history of {f'{settings.history_days} days' if settings.history_days else 'all time'}",
            _who_may_come(settings, database, serving.page_url(listening) + settings.root_path),
        ]
        if not settings.host_is_loopback:
            names = ", ".join(settings.allowed_hosts) or "none; name them in ALLOWED_HOSTS"
            notes.append(f"Other machines reach it under these names: {names}")
        serving.run(listening, settings, notes, workers=workers, reload=options.reload)


def _describe(database: Database) -> str:
    with psycopg.connect(database.url, connect_timeout=5) as connection:
        version = connection.info.parameter_status("server_version")
    heard = "" if database.listen_url == database.url else f", heard by way of {_host(database.listen_url)}"
    return f"PostgreSQL {version}{', embedded' if database.server else ''}{heard}"


def _host(url: str) -> str:
    return str(_parameters(url).get("host", "the local socket"))


def _wishes(options: argparse.Namespace) -> dict[str, str]:
    """Return the options that stand for environment variables."""
    wishes = {"HOST": options.host, "PORT": options.port, "OPEN_TO_ALL": True if options.open else None}
    return {name: str(value) for name, value in wishes.items() if value is not None}


def _who_may_come(settings: Settings, database: Database, page_url: str) -> str:
    """Say whom the page is open to; where nobody could sign in, with a link that makes the first account."""
    if accounts.are_there_any(database.url):
        return "Who has an account may sign in"
    if settings.is_open:
        return "There are no accounts: whoever reaches it may change the stock"
    link = accounts.first_link(database.url, page_url)
    return f"There are no accounts yet, and nobody may come in. Make the first one: {link}"


def bring_up_to_date(options: argparse.Namespace) -> None:  # noqa: ARG001
    """Apply the missing migrations."""
    prepare(load_settings())
    sys.stdout.write("The database's schema is up to date.\n")


def open_psql(options: argparse.Namespace) -> None:
    """Become psql; the embedded server runs for as long as psql does."""
    settings = load_settings()
    if settings.database_url is None:
        server = EmbeddedServer(default_data_dir(settings))
        url = server.start()
        server.guard()
        migrate(url)
        server.survive_exec()
        _become(server.psql_path, url, options.arguments)
    _become(_psql_on_path(), settings.database_url or "", options.arguments)


def _psql_on_path() -> Path:
    found = shutil.which("psql")
    return Path(found) if found else find_binaries().folder / "psql"


def _become(psql: Path, url: str, arguments: list[str]) -> None:
    password = _parameters(url).get("password")
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})  # not in sight of `ps`
    # psql finds its own files by the path it was started with.
    os.execve(psql, [str(psql), "-d", _without_secrets(url), *arguments], environment)  # noqa: S606


def print_url(options: argparse.Namespace) -> None:  # noqa: ARG001
    """Print the address; an embedded server answers there while another command runs it."""
    settings = load_settings()
    url = settings.database_url or EmbeddedServer(default_data_dir(settings)).url
    sys.stdout.write(f"{_without_secrets(url)}\n")


def _psql_command() -> str:
    return "python3 dev.py psql" if RESOURCES != PACKAGE and (RESOURCES / "dev.py").exists() else "live-inventory psql"


def _without_secrets(url: str) -> str:
    parameters = _parameters(url)
    kept = {name: value for name, value in parameters.items() if name not in _SECRETS}
    return url if kept == parameters else make_conninfo(**kept)


def _parameters(url: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.ProgrammingError as error:
        raise SetupError("DATABASE_URL cannot be read; it looks like postgresql://user@host:5432/database") from error


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1 process serves")
    return count


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return port
