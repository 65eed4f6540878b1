"""One page of a thousand reads nothing while thousands of changes are told: what that costs the others, and memory."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks import contestants
from tests.benchmarks.crowd import Crowd
from tests.benchmarks.figures import Cell, Table, percentile
from tests.benchmarks.lab import Lab

DRAIN_LIMIT_S = 5.0


def measure(lab: Lab) -> Iterator[Table]:
    """Yield one table: the same with and without the page that reads nothing."""
    contestants.allow_many_files()
    sockets, changes = (200, 2_000) if lab.quick else (1_000, 20_000)
    with contestants.enter(lab, contestants.LIVE, sockets) as pages:
        rows = [_row("all read", lab, pages, changes)]
    with contestants.enter(lab, contestants.LIVE, sockets) as pages:
        with _stopped(pages.join(1)) as stalled:
            rows.append(_row("one reads nothing", lab, pages, changes))
            newest = next(pages.numbers) - 1
        arrival = stalled.arrival(newest, DRAIN_LIMIT_S)
        stalled.program.stop()
    told = f"it has the newest state after {arrival.frames} frames" if arrival else "it does NOT get the newest state"
    yield Table(
        f"A page that reads nothing, beside {sockets:,} that do, while {changes:,} changes are told",
        (
            "pages",
            "last of the others, p50 ms",
            "p99 ms",
            "MB before",
            "after half",
            "after all",
            "grown in the second half, KB",
        ),
        tuple(rows),
        f"When it reads again, {told}: those that the kernel had, and one. Memory of the server; what grows without"
        " such a page too are the caches of rendered rows, which are bounded.",
    )


def _row(name: str, lab: Lab, pages: contestants.Contestant, changes: int) -> tuple[Cell, ...]:
    pages.run(broadcasts=5)
    before_kb, half_kb, end_kb = pages.program.resident_kb(), *(_tell(name, lab, pages, changes // 2) for _ in range(2))
    pages.last_ms.clear()
    pages.run(broadcasts=5 if lab.quick else 25)
    delays = [percentile(pages.last_ms, share) for share in (0.5, 0.99)]
    return name, *delays, before_kb / 1024, half_kb / 1024, end_kb / 1024, end_kb - half_kb


def _tell(name: str, lab: Lab, pages: contestants.Contestant, changes: int) -> float:
    """Make changes as fast as one connection can; return the server's memory then, in KB."""
    lab.tell(f"stalled: {name}, {changes:,} changes")
    for _ in range(changes):
        pages.send(next(pages.numbers))
    time.sleep(contestants.SETTLE_S)
    return pages.program.resident_kb()


@contextmanager
def _stopped(crowd: Crowd) -> Iterator[Crowd]:
    """Let a crowd read nothing while the context lasts."""
    crowd.program.process.send_signal(signal.SIGSTOP)
    try:
        yield crowd
    finally:
        crowd.program.process.send_signal(signal.SIGCONT)
