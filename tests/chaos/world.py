"""What chaos happens to: a PostgreSQL, two processes that serve it, and a network on either side of them."""

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from tests.command import Served, serving
from tests.proxy import Network, network_before, network_to
from webapp.postgres.embedded import EmbeddedServer
from webapp.postgres.migrations import migrate

WORKERS = 2
_SETTINGS = {"max_notify_queue_pages": "64", "deadlock_timeout": "100ms"}
_COMMAND = (sys.executable, "-m", "tests.chaos.served", "serve", "--workers", str(WORKERS))


class World:
    """The parts. `url` is what clients know, through a network of theirs; `database_url` leads past all networks."""

    def __init__(self, server: EmbeddedServer, inner: Network, outer: Network, served: Served, url: str) -> None:
        self.server = server
        self.inner = inner
        self.outer = outer
        self.url = url
        self.socket_url = url.replace("http", "ws")
        self._served = served

    @property
    def database_url(self) -> str:
        return self.server.url

    def kill_worker(self, number: int) -> None:
        """Kill one of those that may live, as no signal handler can help."""
        with suppress(ProcessLookupError):
            os.kill(self._served.workers()[-WORKERS:][number], signal.SIGKILL)

    def restart(self, how: str) -> None:
        """Stop the database as pg_ctl does, or "kill" it as no signal handler can help, and start it again."""
        if how == "kill":
            pid = (self.server.data_dir / "cluster" / "postmaster.pid").read_text(encoding="ascii").split()[0]
            os.kill(int(pid), signal.SIGKILL)
        else:
            self.server.stop(how)
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
        serving(inner_url, folder / "log", command=_COMMAND, CHAOS_WITHOUT=without) as served,
        network_to("127.0.0.1", str(served.port)) as (port, outer),
    ):
        world = World(server, inner, outer, served, f"http://127.0.0.1:{port}")
        await asyncio.to_thread(served.wait_for, WORKERS)
        try:
            yield world
        finally:
            world.mend()
