"""What the live feed costs those who write: transactions per second, bulk statements, many listeners."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import psycopg

from tests.benchmarks import pgbench
from tests.benchmarks.figures import Cell, Panel, Table, middle, ratio
from tests.benchmarks.lab import Lab
from tests.benchmarks.programs import Program, python

BARE, TUTORIAL, SILENT, OURS = "bare table", "tutorial trigger", "our table, no triggers", "ours"
COMPARED = {
    "tutorial : bare": (TUTORIAL, BARE),
    "ours : bare": (OURS, BARE),
    "ours : no triggers": (OURS, SILENT),
    "ours : tutorial": (OURS, TUTORIAL),
}
BULK_ROWS = 100_000
_TABLE = "CREATE TABLE inventory (id bigint PRIMARY KEY, name text NOT NULL UNIQUE, quantity bigint NOT NULL)"
_TUTORIAL = Path(__file__).parent / "peers/tutorial.sql"
_BULK = {
    "INSERT": "INSERT INTO inventory ({columns}) SELECT {values} FROM generate_series(1, {rows}) AS n",
    "UPDATE": "UPDATE inventory SET quantity = quantity + 1 WHERE name LIKE 'bulk %'",
    "DELETE": "DELETE FROM inventory WHERE name LIKE 'bulk %'",
}


def measure(lab: Lab) -> Iterator[Table]:
    """Yield a table for each way to write."""
    with databases(lab) as urls:
        yield _rates(lab, urls)
        yield _bulk(lab, urls)
        yield _listeners(lab, urls)


@contextmanager
def databases(lab: Lab) -> Iterator[dict[str, str]]:
    """Give the addresses of a bare table, one with the tutorial's trigger, ours without and with its triggers.

    Somebody listens where something is told.
    """
    urls = {
        BARE: _plain_table(lab, "bare"),
        TUTORIAL: _plain_table(lab, "tutorial", _TUTORIAL.read_text()),
        SILENT: _without_triggers(lab.inventory("silent", pgbench.ROWS)),
        OURS: lab.inventory("ours", pgbench.ROWS),
    }
    with ExitStack() as stack:
        stack.callback(listen(urls[TUTORIAL], 1).stop)
        stack.enter_context(lab.serve(urls[OURS]))
        yield urls


def _plain_table(lab: Lab, name: str, triggers: str = "") -> str:
    url = lab.database(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_TABLE)
        connection.execute(
            "INSERT INTO inventory SELECT n, 'item ' || n, 0 FROM generate_series(1, %s) AS n", [pgbench.ROWS]
        )
        connection.execute("VACUUM (ANALYZE) inventory")
        connection.execute(triggers.encode())
    return url


def _without_triggers(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE inventory DISABLE TRIGGER USER")
    return url


def listen(url: str, number: int) -> Program:
    """Start a process with so many connections that listen and read what comes."""
    program = python("tests.benchmarks.peers.listeners", url, number)
    program.read_line()
    return program


def _rates(lab: Lab, urls: dict[str, str]) -> Table:
    loads = [(32, False), (32, True)]
    loads = loads if lab.quick else [(1, False), (8, False), *loads, (8, True)]
    seconds = 1 if lab.quick else 2
    rows: list[tuple[Cell, ...]] = []
    panels = []
    for clients, is_slow in loads:
        name = f"{clients} {'writers' if clients > 1 else 'writer'}{', +1 ms' if is_slow else ''}"
        lab.tell(f"writers: {name}")
        with lab.disk.slow() if is_slow else nullcontext("") as options:
            rate = partial(pgbench.transactions_per_s, clients=clients, seconds=seconds, options=options)
            results = _alternating(lab.rounds, urls, rate)
        rows.append((name, *_compared(results)))
        panels.append(Panel(f"Transactions per second, {name}", tuple(results.items())))
    return Table(
        "Writers: transactions per second",
        ("load", *urls, *COMPARED),
        tuple(rows),
        f"Single-row UPDATE of random rows of {pgbench.ROWS:,}, each its own transaction, fsync on, history included."
        f" “+1 ms”: each flush of the log takes a millisecond longer, as on a disk in a network ({lab.disk.means}).",
        tuple(panels[-2:]),
    )


def _alternating(rounds: int, urls: dict[str, str], run: Callable[[str], float]) -> dict[str, float | None]:
    """Return the median of what each gives in rounds, in which each has its turn."""
    results: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, url in urls.items():
            results[name].append(run(url))
    return {name: middle(values) for name, values in results.items()}


def _compared(results: dict[str, float | None]) -> tuple[float | None, ...]:
    """Return what each gave, and the ratios of `COMPARED`."""
    return *results.values(), *(ratio(results[one], results[other]) for one, other in COMPARED.values())


def _bulk(lab: Lab, urls: dict[str, str]) -> Table:
    lab.tell(f"writers: statements of {BULK_ROWS:,} rows")
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(1 if lab.quick else lab.rounds):
        for name, url in urls.items():
            for statement, taken_s in _run_bulk(url, has_ids=name in (SILENT, OURS)):
                seconds[statement, name].append(taken_s)
    medians = {statement: {name: middle(seconds[statement, name]) for name in urls} for statement in _BULK}
    return Table(
        f"Writers: one statement for {BULK_ROWS:,} rows, seconds",
        ("statement", *urls, *COMPARED),
        tuple((statement, *_compared(results)) for statement, results in medians.items()),
        "Ours logs every row before and after, as the history that people see.",
    )


def _run_bulk(url: str, *, has_ids: bool) -> Iterator[tuple[str, float]]:
    columns = {"columns": "name, quantity", "values": "'bulk ' || n, 0", "rows": BULK_ROWS}
    if not has_ids:
        columns |= {"columns": "id, name, quantity", "values": "n + 1000000, 'bulk ' || n, 0"}
    with psycopg.connect(url, autocommit=True) as connection:
        for name, statement in _BULK.items():
            started_at = time.perf_counter()
            connection.execute(statement.format(**columns).encode())
            yield name, time.perf_counter() - started_at
        connection.execute("VACUUM inventory")


def _listeners(lab: Lab, urls: dict[str, str]) -> Table:
    numbers, clients, seconds = (100,) if lab.quick else (1, 100), 8, 1 if lab.quick else 2
    rows: list[tuple[Cell, ...]] = []
    for number in numbers:
        lab.tell(f"writers: {number} listening")
        with ExitStack() as stack:
            for name in (TUTORIAL, OURS):
                stack.callback(listen(urls[name], number).stop)
            results = _alternating(lab.rounds, urls, lambda url: pgbench.transactions_per_s(url, clients, seconds))
        rows.append((f"{number} more", *_compared(results)))
    return Table(
        f"Writers: transactions per second of {clients} writers, with connections that LISTEN",
        ("listening", *urls, *COMPARED),
        tuple(rows),
    )
