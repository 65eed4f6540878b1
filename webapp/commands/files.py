"""The console's commands for stock in bulk: `import`, `export` and `simulate`."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg

from webapp.commands import Commands
from webapp.files.exporting import export_csv
from webapp.files.importing import apply_file, importing, read_file
from webapp.files.review import Review
from webapp.postgres.database import prepare
from webapp.settings import SetupError, load_settings
from webapp.stock.items import StockError
from webapp.stock.simulation import Shop
from webapp.stock.views import View


def add_commands(commands: Commands) -> None:
    """Add the three commands to the parser."""
    parser = commands.add_parser("import", help="import items from a CSV file, all of them or none")
    parser.add_argument("file", help="the file, or - for standard input")
    parser.add_argument("--dry-run", action="store_true", help="only say what would happen")
    parser.add_argument("--encoding", type=_encoding, help="for a file that is not UTF-8, such as windows-1252")
    parser.set_defaults(run=import_file)
    parser = commands.add_parser("export", help="write all items as CSV")
    parser.add_argument("file", nargs="?", help="the file; default: standard output")
    parser.set_defaults(run=export_file)
    parser = commands.add_parser("simulate", help="fill an empty inventory and trade like a shop")
    parser.add_argument("--rate", type=_positive, default=4, help="changes a second (4)")
    parser.add_argument("--for", type=_positive, dest="seconds", help="seconds to trade for; else until Ctrl-C")
    parser.add_argument("--yes", action="store_true", help="trade with the items that are already there")
    parser.set_defaults(run=simulate)


def import_file(options: argparse.Namespace) -> None:
    """Import a file, or say what is wrong with it, and change nothing."""
    url = prepare(load_settings()).url
    try:
        with _opened(options.file) as file, importing(url) as connection:
            review = read_file(connection, file, _name(options.file), options.encoding, _tell_rows)
            _end_line()
            if review.problems.count:
                raise SetupError(_refusal(review))
            if options.dry_run:
                connection.rollback()
            else:
                review = apply_file(connection, review.token)
    except StockError as error:
        raise SetupError(f"{error} Nothing was changed; try again.") from error
    except OSError as error:
        raise SetupError(f"{options.file} cannot be read: {error.strerror}.") from error
    except psycopg.OperationalError as error:
        raise SetupError(f"The database went away, and nothing was changed: {error}") from error
    sys.stdout.write(f"{_summary(review)}{' (dry run: nothing was changed)' * options.dry_run}\n")


def export_file(options: argparse.Namespace) -> None:
    """Write all items to a file or to the standard output."""
    url = prepare(load_settings()).url
    try:
        with Path(options.file).open("wb") if options.file else open(1, "wb", closefd=False) as file:
            asyncio.run(_export(url, file))
    except BrokenPipeError:  # whoever read it has seen enough
        os._exit(0)
    except OSError as error:
        raise SetupError(f"{options.file or 'The output'} cannot be written: {error.strerror}.") from error
    except psycopg.OperationalError as error:
        raise SetupError(f"The database went away; the file is not complete: {error}") from error


async def _export(url: str, file: IO[bytes]) -> None:
    async for part in export_csv(url, View()):
        file.write(part)


def simulate(options: argparse.Namespace) -> None:
    """Trade until the time is over or somebody presses Ctrl-C; a process manager's SIGTERM is the same."""
    url = prepare(load_settings()).url
    # Between two deals: an exception in the middle of a statement would lose the connection.
    closing = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: closing.set())
    with psycopg.connect(url, autocommit=True, client_encoding="utf8", prepare_threshold=None) as connection:
        shop = Shop(connection)
        there = shop.count_items()
        if there and not options.yes:
            raise SetupError(
                "The inventory is not empty, and a simulation would change the quantities of what is there.\n"
                "If that is wanted, say so: add --yes. Or use another database: DATA_DIR, DATABASE_URL."
            )
        if not there:
            sys.stderr.write(f"Filled the shelves with {shop.fill()} items. Ctrl-C ends the trade.\n")
        for deals in shop.trade(options.rate, options.seconds, closing):
            _tell(f"{sum(deals.values())} changes: " + ", ".join(f"{n} {kind}" for kind, n in deals.items()))
        _end_line()
        sys.stdout.write(f"The shop is closed after {sum(shop.deals.values())} changes.\n")


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name != "-":
        with Path(name).open("rb") as file:
            yield file
    else:  # reading looks at the beginning first, and goes back
        with tempfile.TemporaryFile() as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
            file.seek(0)
            yield file


def _name(file: str) -> str:
    return "standard input" if file == "-" else Path(file).name


def _summary(review: Review) -> str:
    unused = f" Not used: {', '.join(review.unused)}." if review.unused else ""
    return f"{review.added} new, {review.changed} changed, {review.unchanged} unchanged.{unused}"


def _refusal(review: Review) -> str:
    lines = [f"{review.file_name}: {problem}" for problem in review.problems.first]
    more = review.problems.count - len(lines)
    lines += [f"… and {more} more"] if more else []
    return "\n".join([*lines, f"Nothing was imported; problems: {review.problems.count}."])


def _tell_rows(rows: int) -> None:
    if rows % 10_000 == 0:
        _tell(f"{rows} rows read")


def _tell(text: str) -> None:
    """Write over the line before, on a screen; in a log each line stands for itself."""
    sys.stderr.write(f"\r{text}\x1b[K" if sys.stderr.isatty() else f"{text}\n")
    sys.stderr.flush()


def _end_line() -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\n")


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError("a number above 0")
    return number


def _encoding(text: str) -> str:
    try:
        "".encode(text)
    except (LookupError, UnicodeError) as error:
        raise argparse.ArgumentTypeError(f"there is no encoding called {text}") from error
    return text
