"""Servers that hand a text on to all their sockets, ours and others', each with its crowd and what it cost."""

import asyncio
import json
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import LiteralString

import psycopg

from tests.benchmarks.crowd import Arrival, Crowd
from tests.benchmarks.lab import Application, Lab, server_cores
from tests.benchmarks.probe import open_page
from tests.benchmarks.programs import FOLDER, Missing, Program, await_port, free_port, python

ITEMS = 1_000
TEXT_BYTES = 600
PAUSE_S = 0.15
CALM_S = 0.4  # so far apart that a page is told each change at once
ARRIVAL_LIMIT_S = 10.0
SETTLE_S = 1.0
NPM_LIMIT_S = 15.0
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
    database = _writer(url, stack)
    if name == MESSAGES:
        join = partial(Crowd, application.port, path="/messages")
        return application.program, lambda number: _notify(database, number), join
    item_id = asyncio.run(open_page(application)).item_id
    return (
        application.program,
        lambda number: _run(database, "UPDATE inventory SET unit = %s WHERE id = %s", f"@{number}@", item_id),
        lambda sockets: _join_live(application, sockets),
    )


def _join_live(application: Application, sockets: int) -> Crowd:
    return Crowd(application.port, sockets, "/live", hello=asyncio.run(open_page(application)).hello)


def _start_peer(lab: Lab, name: str, stack: ExitStack) -> Parts:
    port, url = free_port(), lab.database(f"fanout {name}")
    program = _peer(name, port, url)
    stack.callback(program.stop)
    await_port(program, port)
    join = partial(Crowd, port, deflate=name == DEFAULTS)
    if name in (BARE, NODE):
        return program, lambda number: program.write_line(text(number)), join
    database = _writer(url, stack)
    return program, lambda number: _notify(database, number), join


def _peer(name: str, port: int, url: str) -> Program:
    cores = server_cores()
    if name == NODE:
        return Program("node", _PEERS / "ws.js", port, cores=cores, environment={"NODE_PATH": str(_MODULES)})
    if name == BARE:
        return python("tests.benchmarks.peers.bare", port, cores=cores)
    address = {"DATABASE_URL": url}
    if name == LIBRARY:
        return python("tests.benchmarks.peers.broadcast", port, cores=cores, environment=address)
    options = [] if name == DEFAULTS else ["--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
    tutorial = ["uvicorn", "tests.benchmarks.peers.tutorial:app", "--port", port]
    return python(*tutorial, *options, cores=cores, environment=address)


def _writer(url: str, stack: ExitStack) -> psycopg.Connection:
    database = stack.enter_context(psycopg.connect(url, autocommit=True))
    database.execute("SET synchronous_commit = off")  # the disk is no part of this
    return database


def _notify(database: psycopg.Connection, number: int) -> None:
    _run(database, "SELECT pg_notify('messages_channel', %s)", text(number))


def _run(database: psycopg.Connection, statement: LiteralString, *parameters: object) -> None:
    database.execute(statement, parameters)


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
    try:
        if not (_MODULES / "ws").exists():
            subprocess.run(command, check=True, timeout=NPM_LIMIT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise Missing("npm package `ws`, for the peer of that name: npm could not install it") from error


def allow_many_files() -> int:
    """Raise the limit of open files as far as it goes, for the programs started here; return it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
