"""Where everything is measured: a PostgreSQL of its own on the checkout's disk, and what is told meanwhile."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.benchmarks.programs import Program, await_port, free_port, python
from tests.benchmarks.slow_disk import SlowDisk
from webapp.postgres.binaries import make_folder
from webapp.postgres.embedded import EmbeddedServer, default_data_dir
from webapp.postgres.migrations import migrate
from webapp.settings import Settings

_SETTINGS = {"max_connections": "250", "autovacuum_naptime": "10s"}


@dataclass(slots=True)
class Application:
    """`live-inventory serve` in a process of its own."""

    program: Program
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Lab:
    """A cluster whose commits are durable; `quick` asks for fewer and shorter rounds."""

    quick: bool
    server: EmbeddedServer
    url: str
    disk: SlowDisk
    started_at: float = field(default_factory=time.monotonic)
    complaints: list[str] = field(default_factory=list)

    @property
    def rounds(self) -> int:
        """How often everything is measured in turn; the median is told."""
        return 2 if self.quick else 3

    def tell(self, text: str) -> None:
        """Show what is done now, and since when all this runs."""
        sys.stderr.write(f"[{time.monotonic() - self.started_at:4.0f} s] {text}\n")

    def leave_out(self, missing: str) -> None:
        """Note what this machine lacks; whatever needs it is left out."""
        self.complain(f"left out, for there is no {missing}")

    def complain(self, complaint: str) -> None:
        """Show at once what went wrong, and again at the end."""
        self.complaints.append(complaint)
        self.tell(complaint)

    def database(self, name: str) -> str:
        """Return the address of a new, empty database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return make_conninfo(self.url, dbname=name)

    def inventory(self, name: str, items: int) -> str:
        """Return the address of a new database of ours, with so many items; their ids start at 1."""
        url = self.database(name)
        migrate(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            connection.execute(_ITEMS, [items])
            connection.execute("VACUUM (ANALYZE)")
        return url

    @contextmanager
    def serve(self, url: str, cores: set[int] | None = None) -> Iterator[Application]:
        """Serve a database while the context lasts."""
        port = free_port()
        program = python("webapp", "serve", "--port", port, cores=cores, environment={"DATABASE_URL": url})
        try:
            await_port(program, port)
            yield Application(program, port)
        finally:
            program.stop()


_ITEMS = """
INSERT INTO inventory (name, quantity, unit, location, reorder_level, code)
SELECT 'item ' || left(md5(n::text), 6) || ' ' || n, n * 7919 %% 1000, 'pcs', 'shelf ' || n %% 20, n %% 50, 'SKU-' || n
  FROM generate_series(1, %s::bigint) AS n
"""


def server_cores() -> set[int]:
    """Return the processor for a server whose use of it is measured; all where there is only one."""
    return set(sorted(os.sched_getaffinity(0))[:1])


def other_cores() -> set[int]:
    """Return the processors for all others."""
    return set(sorted(os.sched_getaffinity(0))[1:]) or server_cores()


@contextmanager
def open_lab(*, quick: bool) -> Iterator[Lab]:
    """Start the cluster; it is gone when the context ends, or when this process does."""
    place = default_data_dir(Settings()).parent
    make_folder(place)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=place))
    folder.chmod(0o755)
    server = EmbeddedServer(folder)
    try:
        url = server.start()
        server.guard(delete=True)
        _set(url)
        yield Lab(quick, server, url, SlowDisk(server))
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _set(url: str) -> None:
    """Set what holds from the next start on."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name, value in _SETTINGS.items():
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value))
