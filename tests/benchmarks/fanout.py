"""One text to thousands of sockets, against peers in the same alternating rounds: processor, delay, memory."""

from collections.abc import Iterator
from contextlib import ExitStack

from tests.benchmarks.contestants import (
    BARE,
    DEFAULTS,
    LIBRARY,
    LIVE,
    MESSAGES,
    NODE,
    PLAIN,
    TEXT_BYTES,
    Contestant,
    allow_many_files,
    enter,
    install_ws,
)
from tests.benchmarks.figures import Panel, Table, middle, percentile, ratio
from tests.benchmarks.lab import Lab
from tests.benchmarks.programs import Missing


def measure(lab: Lab) -> Iterator[Table]:
    """Yield a table for each number of sockets."""
    allow_many_files()
    names = [DEFAULTS, PLAIN, LIBRARY, NODE, BARE, MESSAGES, LIVE]
    try:
        install_ws()
    except Missing as missing:
        lab.leave_out(str(missing))
        names.remove(NODE)
    for sockets in (1_000,) if lab.quick else (1_000, 5_000):
        yield _compare(lab, names, sockets)


def _compare(lab: Lab, names: list[str], sockets: int) -> Table:
    with ExitStack() as stack:
        contestants = []
        for name in names:
            lab.tell(f"fan-out: {sockets:,} sockets join {name}")
            contestants.append(stack.enter_context(enter(lab, name, sockets)))
        for number in range(lab.rounds):
            lab.tell(f"fan-out: {sockets:,} sockets, round {number + 1} of {lab.rounds}")
            for contestant in contestants:
                contestant.run(broadcasts=6 if lab.quick else 20)
    return _table(sockets, contestants)


def _table(sockets: int, contestants: list[Contestant]) -> Table:
    cpu = {each.name: middle(each.cpu_us) for each in contestants}
    memory: dict[str, float | None] = {each.name: each.memory_kb / 1024 for each in contestants}
    rows = [
        (
            f"{each.name} ({each.incomplete} incomplete)" if each.incomplete else each.name,
            cpu[each.name],
            ratio(cpu[each.name], middle(each.frames)),
            ratio(cpu[each.name], cpu[PLAIN]),
            ratio(cpu[each.name], cpu[DEFAULTS]),
            percentile(each.last_ms, 0.5),
            percentile(each.last_ms, 0.99),
            each.kb_per_socket,
            each.memory_kb / 1024,
            middle(each.frames),
            middle(each.kb),
        )
        for each in contestants
    ]
    client = [us for each in contestants for us in each.client_us]
    return Table(
        f"Fan-out: {TEXT_BYTES} bytes to {sockets:,} sockets",
        (
            "server",
            "µs per delivery",
            "µs per frame",
            "× tutorial",
            "× its defaults",
            "last socket, p50 ms",
            "p99 ms",
            "KB per socket",
            "MB in all",
            "frames each",
            "KB each",
        ),
        tuple(rows),
        "Processor time of the server per broadcast and socket; from the sending to the last socket's arrival; resident"
        " memory of the server per idle socket (too low while sockets fit into what a start has set free), and in all."
        " Whatever is written in Python hears the text from PostgreSQL, by NOTIFY; Node and the bare loop, which have"
        " no driver for it, get it on their standard input. /live: a committed change of a row, as HTML with totals"
        " and history."
        f" The load client used {middle(client) or 0:.1f} µs per delivery on another processor.",
        (
            Panel(f"Processor per delivery, µs, {sockets:,} sockets", tuple(cpu.items())),
            Panel(f"Memory of the server with {sockets:,} idle sockets, MB", tuple(memory.items())),
        ),
    )
