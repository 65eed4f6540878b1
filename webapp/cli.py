"""The console command: `live-inventory serve` and the others, one small function each."""

import argparse
import os
import shlex
import sys

import psycopg

from webapp import __version__
from webapp.commands import Commands, accounts, files, postgres, tokens, upkeep
from webapp.commands.postgres import without_secrets
from webapp.postgres.database import Database, parameters_of, prepare
from webapp.postgres.hearing import check_hearing
from webapp.server import serving
from webapp.settings import PACKAGE, RESOURCES, Settings, SetupError, load_settings


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
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help", "--version"}):
        return ["serve", *arguments]
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="live-inventory",
        description="Live Inventory: a stock dashboard on PostgreSQL, live in every open browser.",
    )
    parser.add_argument("--version", action="version", version=f"Live Inventory {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_serve(commands)
    for each in (postgres, accounts, tokens, files, upkeep):
        each.add_commands(commands)
    return parser


def _add_serve(commands: Commands) -> None:
    parser = commands.add_parser("serve", help="serve the page (the default command)")
    parser.add_argument("--host", help="address to listen on (HOST, else 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="port to listen on, 0 for any free one (PORT, else 8000)")
    parser.add_argument(
        "--open", action="store_true", help="let in anyone who can reach it, as long as there are no accounts"
    )
    processes = parser.add_mutually_exclusive_group()
    processes.add_argument("--workers", type=_count, metavar="N", help="processes that serve (WEB_CONCURRENCY, else 1)")
    processes.add_argument("--reload", action="store_true", help="restart when a file of the project changes")
    parser.set_defaults(run=serve)


def serve(options: argparse.Namespace) -> None:
    """Serve until Ctrl-C."""
    os.environ.update(_wishes(options))  # the processes that serve read them as everybody else's
    settings = load_settings()
    with serving.listen(settings.host, settings.port) as listening:
        database = prepare(settings)  # as the application does it, but before it starts: an error is one message
        check_hearing(database.url, database.listen_url)
        workers = 1 if options.reload else options.workers or settings.web_concurrency
        notes = [
            f"Its database: {_psql_command()}, or any psql: psql {shlex.quote(without_secrets(database.url))}",
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
    return str(parameters_of(url).get("host", "the local socket"))


def _wishes(options: argparse.Namespace) -> dict[str, str]:
    """Return the options that stand for environment variables."""
    wishes = {"HOST": options.host, "PORT": options.port, "OPEN_TO_ALL": True if options.open else None}
    return {name: str(value) for name, value in wishes.items() if value is not None}


def _who_may_come(settings: Settings, database: Database, page_url: str) -> str:
    """Say whom the page is open to; where nobody could sign in, with a link that makes the first account."""
    if accounts.are_there_any(database.url):
        return "Everyone with an account may sign in"
    if settings.is_open:
        return "There are no accounts: anyone who can reach it may change the stock"
    link = accounts.first_link(database.url, page_url)
    return f"There are no accounts yet, so nobody can sign in. Create the first one: {link}"


def _psql_command() -> str:
    return "python3 dev.py psql" if RESOURCES != PACKAGE and (RESOURCES / "dev.py").exists() else "live-inventory psql"


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
