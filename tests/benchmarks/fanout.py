"""One text to thousands of sockets, against peers in the same alternating rounds: processor, delay, memory."""

import asyncio
import json
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import LiteralString

import psycopg

from tests.benchmarks.crowd import Arrival, Crowd
from tests.benchmarks.figures import Panel, Table, middle, percentile, ratio
from tests.benchmarks.lab import Application, Lab, server_cores
from tests.benchmarks.probe import open_page
from tests.benchmarks.programs import FOLDER, Missing, Program, await_port, free_port, python

ITEMS = 1_000
TEXT_BYTES = 600
PAUSE_S = 0.15
CALM_S = 0.4  # so far apart that a page is told each change at once
ARRIVAL_LIMIT_S = 10.0
SETTLE_S = 1.0
DEFAULTS, PLAIN = "tutorial loop, uvicorn's defaults", "tutorial loop, no compression"
BARE, LIBRARY, NODE = "a bare loop of send()", "websockets.broadcast()", "Node ws, frame built once"
MESSAGES, LIVE = "ours, /messages", "ours, /live"
_PEERS = Path(__file__).parent / "peers"
_MODULES = FOLDER / "node_modules"


@dataclass
class Contestant:
    """A server with its crowd, and what was measured of them; the lists hold a figure per round or per broadcast."""

    name: str
    program: Program
    crowd: Crowd
    send: Callable[[int], None]
    join: Callable[[int], Crowd]
    memory_kb: float
    kb_per_socket: float
    pause_s: float
    cpu_us: list[float] = field(default_factory=list)
    client_us: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    kb: list[float] = field(default_factory=list)
    last_ms: list[float] = field(default_factory=list)
    incomplete: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def run(self, broadcasts: int) -> None:
        """Broadcast so often; each when the one before has reached everybody."""
        numbers = [next(self.numbers) for _ in range(broadcasts)]
        used_s, client_s = self.program.cpu_s(), self.crowd.program.cpu_s()
        arrivals = [arrival for number in numbers if (arrival := self._broadcast(number))]
        deliveries = broadcasts * self.crowd.sockets
        self.cpu_us.append((self.program.cpu_s() - used_s) / deliveries * 1e6)
        self.client_us.append((self.crowd.program.cpu_s() - client_s) / deliveries * 1e6)
        if len(arrivals) > 1:
            shares = (len(arrivals) - 1) * self.crowd.sockets
            self.frames.append((arrivals[-1].frames - arrivals[0].frames) / shares)
            self.kb.append((arrivals[-1].received_bytes - arrivals[0].received_bytes) / 1024 / shares)

    def _broadcast(self, number: int) -> Arrival | None:
        sent_at = time.monotonic_ns()
        self.send(number)
        arrival = self.crowd.arrival(number, ARRIVAL_LIMIT_S)
        time.sleep(max(0, self.pause_s - (time.monotonic_ns() - sent_at) / 1e9))
        if arrival is None:
            self.incomplete += 1
        else:
            self.last_ms.append((arrival.last_at_ns - sent_at) / 1e6)
        return arrival


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
        " Peers get the text on their standard input, ours hears it from PostgreSQL. /messages: a NOTIFY;"
        " /live: a committed change of a row, as HTML with totals and history."
        f" The load client used {middle(client) or 0:.1f} µs per delivery on another processor.",
        (
            Panel(f"Processor per delivery, µs, {sockets:,} sockets", tuple(cpu.items())),
            Panel(f"Memory of the server with {sockets:,} idle sockets, MB", tuple(memory.items())),
        ),
    )


@contextmanager
def enter(lab: Lab, name: str, sockets: int) -> Iterator[Contestant]:
    """Give a contestant whose sockets have joined."""
    with ExitStack() as stack:
        start = _start_ours if name in (MESSAGES, LIVE) else _start_peer
        program, send, join = start(lab, name, stack)
        join(1).program.stop()  # what the first socket makes it load is not the sockets' memory
        before_kb = program.resident_kb()
        crowd = join(sockets)
        stack.callback(crowd.program.stop)
        time.sleep(SETTLE_S)
        memory_kb = program.resident_kb()
        kb_per_socket, pause_s = (memory_kb - before_kb) / sockets, CALM_S if name == LIVE else PAUSE_S
        yield Contestant(name, program, crowd, send, join, memory_kb, kb_per_socket, pause_s)


Parts = tuple[Program, Callable[[int], None], Callable[[int], Crowd]]


def _start_ours(lab: Lab, name: str, stack: ExitStack) -> Parts:
    url = lab.inventory(f"fanout {name}", ITEMS)
    application = stack.enter_context(lab.serve(url, server_cores()))
    database = stack.enter_context(psycopg.connect(url, autocommit=True))
    database.execute("SET synchronous_commit = off")  # the disk is no part of this
    if name == MESSAGES:
        return (
            application.program,
            lambda number: _run(database, "SELECT pg_notify('messages_channel', %s)", text(number)),
            lambda sockets: Crowd(application.port, sockets, "/messages"),
        )
    item_id = asyncio.run(open_page(application)).item_id
    return (
        application.program,
        lambda number: _run(database, "UPDATE inventory SET unit = %s WHERE id = %s", f"@{number}@", item_id),
        lambda sockets: _join_live(application, sockets),
    )


def _run(database: psycopg.Connection, statement: LiteralString, *parameters: object) -> None:
    database.execute(statement, parameters)


def _join_live(application: Application, sockets: int) -> Crowd:
    return Crowd(application.port, sockets, "/live", hello=asyncio.run(open_page(application)).hello)


def _start_peer(lab: Lab, name: str, stack: ExitStack) -> Parts:
    port = free_port()
    program = _peer(name, port)
    stack.callback(program.stop)
    await_port(program, port)
    return (
        program,
        lambda number: program.write_line(text(number)),
        lambda sockets: Crowd(port, sockets, deflate=name == DEFAULTS),
    )


def _peer(name: str, port: int) -> Program:
    cores = server_cores()
    if name == NODE:
        return Program("node", _PEERS / "ws.js", port, cores=cores, environment={"NODE_PATH": str(_MODULES)})
    if name in (BARE, LIBRARY):
        module = "bare" if name == BARE else "broadcast"
        return python(f"tests.benchmarks.peers.{module}", port, cores=cores)
    options = [] if name == DEFAULTS else ["--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
    return python("uvicorn", "tests.benchmarks.peers.tutorial:app", "--port", port, *options, cores=cores)


def text(number: int) -> str:
    """Return a text as programs send it, always of the same length, with its number in it."""
    stock = [{"name": name, "quantity": 3 * len(name), "location": "shelf 7", "unit": "pcs"} for name in _NAMES]
    return json.dumps({"change": f"@{number}@", "items": stock}).ljust(TEXT_BYTES)[:TEXT_BYTES]


_NAMES = ("apples", "bolts M6", "washers", "copper wire", "paint, white", "screws 4x40", "brackets", "hinges")


def install_ws() -> None:
    """Install Node's `ws` into .bench, once; raises `Missing` where that cannot be."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise Missing("node and npm, for the peer `ws`")
    command = ["npm", "install", "--silent", "--no-save", "--prefix", str(FOLDER), "ws@8"]
    if not (_MODULES / "ws").exists() and subprocess.run(command, check=False, timeout=60).returncode:
        raise Missing("the npm package `ws`, for the peer of that name: npm could not install it")


def allow_many_files() -> int:
    """Raise the limit of open files as far as it goes, for the programs started here; return it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
