"""One page of a thousand reads nothing while thousands of changes are told: what that costs the others, and itself."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks import fanout
from tests.benchmarks.crowd import Crowd
from tests.benchmarks.figures import Cell, Table, percentile
from tests.benchmarks.lab import Lab

DRAIN_LIMIT_S = 5.0


def measure(lab: Lab) -> Iterator[Table]:
    """Yield one table."""
    fanout.allow_many_files()
    sockets, changes, broadcasts = (200, 2_000, 5) if lab.quick else (1_000, 20_000, 25)
    lab.tell(f"stalled: {sockets:,} pages")
    with fanout.enter(lab, fanout.LIVE, sockets) as pages:
        pages.run(broadcasts)
        rows = [_row("all read", pages)]
        with _stopped(pages.join(1)) as stalled:
            lab.tell(f"stalled: {changes:,} changes while one page reads nothing")
            for _ in range(changes):
                pages.send(next(pages.numbers))
            pages.last_ms.clear()
            pages.run(broadcasts)
            rows.append(_row(f"one reads nothing, {changes:,} changes later", pages))
            newest = next(pages.numbers) - 1
        arrival = stalled.arrival(newest, DRAIN_LIMIT_S)
        stalled.program.stop()
    told = f"it has the newest state after {arrival.frames} frames" if arrival else "it does NOT get the newest state"
    yield Table(
        f"A page that reads nothing, beside {sockets:,} that do",
        ("pages", "last of the others, p50 ms", "p99 ms", "memory of the server, MB"),
        tuple(rows),
        f"When it reads again, {told}: those that the kernel had, and one.",
    )


def _row(name: str, pages: fanout.Contestant) -> tuple[Cell, ...]:
    delays = [percentile(pages.last_ms, share) for share in (0.5, 0.99)]
    return name, *delays, pages.program.resident_kb() / 1024


@contextmanager
def _stopped(crowd: Crowd) -> Iterator[Crowd]:
    """Let a crowd read nothing while the context lasts."""
    crowd.program.process.send_signal(signal.SIGSTOP)
    try:
        yield crowd
    finally:
        crowd.program.process.send_signal(signal.SIGCONT)
