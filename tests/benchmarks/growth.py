"""How the costs grow with what there is more of: sockets, and items."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import closing

from tests.benchmarks import contestants, views
from tests.benchmarks.figures import Cell, Table, middle, percentile, slope
from tests.benchmarks.lab import Lab
from tests.benchmarks.probe import Writer

SOCKETS = (100, 1_000, 10_000)
ITEMS = (1_000, 100_000, 1_000_000)
SPARE_FILES = 200


def measure(lab: Lab) -> Iterator[Table]:
    """Yield a table for each kind of growth, the last row saying how fast each figure grows."""
    yield _items(lab, ITEMS[:2] if lab.quick else ITEMS)
    sockets = [number for number in SOCKETS if number <= contestants.allow_many_files() - SPARE_FILES]
    for name in (contestants.LIVE,) if lab.quick else (contestants.MESSAGES, contestants.LIVE):
        yield _sockets(lab, name, sockets[:2] if lab.quick else sockets)


def _sockets(lab: Lab, name: str, numbers: Sequence[int]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for number in numbers:
        lab.tell(f"growth: {number:,} sockets, {name}")
        with contestants.enter(lab, name, number) as contestant:
            contestant.run(broadcasts=5 if lab.quick else 30)
        delays = [percentile(contestant.last_ms, share) for share in (0.5, 0.99)]
        rows.append((f"{number:,}", middle(contestant.cpu_us), *delays, contestant.memory_kb / 1024))
    return Table(
        f"Growth with sockets: {name}",
        ("sockets", "µs per delivery", "last socket, p50 ms", "p99 ms", "memory of the server, MB"),
        (*rows, _slopes(numbers, rows)),
        "Slope: the power of the number with which a figure grows; 0 not at all, 1 in proportion.",
    )


def _items(lab: Lab, numbers: Sequence[int]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for number in numbers:
        lab.tell(f"growth: {number:,} items")
        url = lab.inventory("growth", number)
        with lab.serve(url) as application, closing(Writer(url)) as writer:
            costs = asyncio.run(views.costs(application, writer, "", changes=3 if lab.quick else 20))
            rows.append((f"{number:,}", *costs, application.program.resident_kb() / 1024))
    return Table(
        "Growth with items: the first page by name",
        ("items", "page open, p50 ms", "change to socket, p50 ms", "p99 ms", "memory of the server, MB"),
        (*rows, _slopes(numbers, rows)),
    )


def _slopes(sizes: Sequence[int], rows: Sequence[tuple[Cell, ...]]) -> tuple[Cell, ...]:
    return "slope", *(slope(sizes, column) for column in list(zip(*rows, strict=True))[1:])
