"""What chaos happens to: a PostgreSQL, two processes that serve it, and a network on either side of them."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from tests.chaos.served import VARIABLE
from tests.proxy import Network, network_before
from tests.waiting import eventually
from webapp.embedded import EmbeddedServer
from webapp.migrations import migrate

WORKERS = 2
_SETTINGS = {"max_notify_queue_pages": "64", "deadlock_timeout": "100ms"}
_SERVES = re.compile(r"process (\d+) serves")


class World:
    """The parts. `url` is what clients know, through a network of theirs; `database_url` leads past all networks."""

    def __init__(self, server: EmbeddedServer, inner: Network, outer: Network, url: str, log: Path) -> None:
        self.server = server
        self.inner = inner
        self.outer = outer
        self.url = url
        self.socket_url = url.replace("http", "ws")
        self._log = log

    @property
    def database_url(self) -> str:
        return self.server.url

    def workers(self) -> list[int]:
        """Return the processes that have begun to serve, the newest last; some may be dead."""
        return [int(number) for number in _SERVES.findall(self._log.read_text())]

    def kill_worker(self, number: int) -> None:
        """Kill one of those that may live, as no signal handler can help."""
        with suppress(ProcessLookupError):
            os.kill(self.workers()[-WORKERS:][number], signal.SIGKILL)

    def restart(self) -> None:
        """Crash the database and start it again."""
        self.server.stop("immediate")
        self.server.start()

    def mend(self) -> None:
        """End what still lasts of any fault."""
        self.inner.mend()
        self.outer.mend()

    async def execute(self, statement: str, *parameters: object) -> None:
        """Run a statement as a program of its own. Raises `psycopg.Error`."""
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            await connection.execute(statement.encode(), parameters or None)


@contextmanager
def _database(folder: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(folder / "postgres", durable=False)
    try:
        with psycopg.connect(server.start(), autocommit=True) as connection:
            known = {row[0] for row in connection.execute("SELECT name FROM pg_settings").fetchall()}
            for name, value in _SETTINGS.items():
                if name in known:
                    connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
        server.stop()
        server.start()
        server.guard()
        migrate(server.url)
        yield server
    finally:
        server.stop("immediate")


@contextmanager
def _application(database_url: str, log: Path, without: str) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.chaos.served", "serve", "--port", "0", "--workers", str(WORKERS)]
    environment = os.environ | {"DATABASE_URL": database_url, "LOG_LEVEL": "info", VARIABLE: without}
    with (
        log.open("w") as stderr,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        assert process.stdout
        try:
            yield process.stdout.readline().strip().removeprefix("Live Inventory is on ")
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def _network_to(port: int) -> Iterator[tuple[int, Network]]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        network = Network(listening, "127.0.0.1", str(port))
        threading.Thread(target=network.serve, daemon=True).start()
        try:
            yield listening.getsockname()[1], network
        finally:
            network.close()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="live-inventory-chaos-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def open_world(without: str = "") -> AsyncIterator[World]:
    """Start everything; nothing of it is left when the context ends."""
    with (
        _folder() as folder,
        _database(folder) as server,
        network_before(server.url) as (inner_url, inner),
        _application(inner_url, folder / "log", without) as url,
        _network_to(int(url.rpartition(":")[2])) as (port, outer),
    ):
        world = World(server, inner, outer, f"http://127.0.0.1:{port}", folder / "log")
        await asyncio.to_thread(eventually, lambda: len(world.workers()) == WORKERS, within_s=60)
        try:
            yield world
        finally:
            world.mend()
