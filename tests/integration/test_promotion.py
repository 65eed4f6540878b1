"""The primary is lost and its standby promoted: open pages go on with what the new primary has."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.browserless import open_page
from tests.factories import make_item
from tests.integration.parts import answers, folder, free_port, running, unprivileged
from tests.integration.test_doctor import wrong
from tests.server import serve
from tests.waiting import eventually, until
from webapp.postgres.embedded import EmbeddedServer
from webapp.postgres.hearing import check_hearing
from webapp.postgres.migrations import migrate
from webapp.settings import SetupError


class Standby:
    """A copy of a server that follows it."""

    def __init__(self, url: str, bin_folder: Path, data: Path) -> None:
        self.url, self._bin, self._data = url, bin_folder, data

    def promote(self) -> None:
        """Let it be the primary."""
        self.run("pg_ctl", "-D", str(self._data), "-w", "promote")

    def follow_no_more(self) -> None:
        """Hear nothing of the primary from now on."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
            connection.execute("SELECT pg_reload_conf()")
            eventually(lambda: not connection.execute("SELECT FROM pg_stat_wal_receiver").rowcount)

    def run(self, program: str, *arguments: str) -> None:
        command: list[Any] = [self._bin / program, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._data.parent, **unprivileged())


@contextmanager
def standby_of(primary: EmbeddedServer, place: Path) -> Iterator[Standby]:
    """Run a standby."""
    port, data = free_port(), place / "standby"
    standby = Standby(make_conninfo(primary.url, host="127.0.0.1", port=port), primary.bin, data)
    source = make_conninfo(primary.url, dbname="postgres")
    standby.run("pg_basebackup", "-D", str(data), "-d", source, "-X", "stream", "-c", "fast", "-R", "--no-sync")
    command: list[Any] = [primary.bin / "postgres", "-D", data, "-p", str(port), "-c", "fsync=off"]
    addresses = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    with running([*command, *addresses], port, cwd=place, **unprivileged()):
        eventually(lambda: answers(standby.url))  # it accepts connections before it has replayed enough to read
        yield standby


@pytest.fixture
def primary() -> Iterator[EmbeddedServer]:
    with folder() as place:
        place.chmod(0o755)
        server = EmbeddedServer(place / "primary", durable=False)
        server.start()
        server.guard()
        yield server
        server.stop("immediate")


async def test_pages_follow_the_standby_that_was_promoted(primary: EmbeddedServer) -> None:
    migrate(primary.url)
    with folder() as place, standby_of(primary, place) as standby:
        with pytest.raises(SetupError, match="leads to a standby"):
            migrate(standby.url)
        with pytest.raises(SetupError, match="LISTEN does not work on a standby"):
            check_hearing(primary.url, standby.url)
        assert wrong(standby.url)["it is a standby, which cannot be written to"] == "fail"
        hosts = [conninfo_to_dict(url) for url in (standby.url, primary.url)]
        both = {name: ",".join(str(each[name]) for each in hosts) for name in ("host", "port")}
        url = make_conninfo(primary.url, **both, target_session_attrs="read-write")
        with serve(url) as server, psycopg.connect(primary.url, autocommit=True) as before:
            async with open_page(server) as page:
                await until(lambda: page.beats)
                make_item(before, name="apples", quantity=1)
                await until(lambda: page.items() == [("apples", 1)])
                with psycopg.connect(standby.url, autocommit=True) as after:
                    has_it = "SELECT FROM inventory WHERE quantity = 1"
                    eventually(lambda: after.execute(has_it).rowcount)
                    standby.follow_no_more()
                    make_item(before, name="lost with the primary", quantity=1)
                    await until(lambda: len(page.items()) == 2)
                    primary.stop("immediate")
                    standby.promote()
                    after.execute("UPDATE inventory SET quantity = 2")
                    make_item(after, name="pears", quantity=3)
                await until(lambda: page.items() == [("apples", 2), ("pears", 3)], within_s=20)
                beats = page.beats
                await until(lambda: page.beats > beats)
