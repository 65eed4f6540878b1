"""The embedded server, used by processes that end as they like."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.waiting import eventually
from webapp.postgres.embedded import EmbeddedServer
from webapp.settings import RESOURCES, SetupError

# A user of the server: says where it is, then lives until its input ends.
USER = """
import sys
from pathlib import Path
from webapp.postgres.embedded import EmbeddedServer

server = EmbeddedServer(Path(sys.argv[1]))
server.guard()
print(server.start(), flush=True)
sys.stdin.read()
"""


@dataclass
class User:
    """A process that uses the server at `url`."""

    process: subprocess.Popen[str]
    url: str

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="live-inventory-test-"))
    folder.chmod(0o755)  # for root, whose server runs as nobody
    yield folder / "postgres"
    eventually(lambda: postmaster(folder / "postgres") is None)
    shutil.rmtree(folder)


def postmaster(data_dir: Path) -> int | None:
    """Return the process id that the server has noted down, None while none runs."""
    try:
        return int((data_dir / "cluster/postmaster.pid").read_text().splitlines()[0])
    except FileNotFoundError:
        return None


@contextmanager
def users(data_dir: Path, count: int = 1) -> Iterator[list[User]]:
    """Start that many processes at once; all are ended when the context is."""
    with ExitStack() as stack:
        command = [sys.executable, "-c", USER, str(data_dir)]
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=RESOURCES)
            )
            for _ in range(count)
        ]
        yield [User(process, process.stdout.readline().strip()) for process in processes if process.stdout]
        for process in processes:
            process.terminate()


def keep_a_row(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def ask(url: str, statement: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return str(row[0]) if row else ""


def test_four_processes_that_start_at_once_share_one_server(data_dir: Path) -> None:
    with users(data_dir, 4) as four:
        assert len({user.url for user in four}) == 1
        started = {ask(user.url, "SELECT pg_postmaster_start_time()") for user in four}
        assert len(started) == 1


def test_the_second_start_finds_what_the_first_has_written(data_dir: Path) -> None:
    with users(data_dir) as [first]:
        keep_a_row(first.url)
    eventually(lambda: postmaster(data_dir) is None)
    with users(data_dir) as [second]:
        assert second.url == first.url
        assert ask(second.url, "SELECT answer FROM kept") == "42"


def test_names_fold_and_sort_in_every_script(data_dir: Path) -> None:
    with users(data_dir) as [user]:
        assert ask(user.url, "SELECT lower('ÄPFEL')") == "äpfel"
        assert ask(user.url, "SHOW server_encoding") == "UTF8"
        assert ask(user.url, "SHOW listen_addresses") == ""


def test_the_server_ends_when_its_last_user_is_killed(data_dir: Path) -> None:
    with users(data_dir, 2) as [first, second]:
        first.kill()
        assert ask(second.url, "SELECT 'still here'") == "still here"
        second.kill()
        eventually(lambda: postmaster(data_dir) is None)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL], ids=lambda by: by.name)
def test_the_server_ends_when_its_user_ends_while_it_starts(data_dir: Path, by: signal.Signals) -> None:
    command = [sys.executable, "-c", USER, str(data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=RESOURCES) as process:
        eventually((data_dir / "cluster/postmaster.pid").exists)
        process.send_signal(by)
    eventually(lambda: postmaster(data_dir) is None)


def test_a_server_killed_by_force_comes_back_with_its_data(data_dir: Path) -> None:
    with users(data_dir) as [first]:
        keep_a_row(first.url)
        killed = postmaster(data_dir)
        assert killed
        os.kill(killed, signal.SIGKILL)
        with users(data_dir) as [second]:
            assert postmaster(data_dir) != killed
            assert ask(first.url, "SELECT answer FROM kept") == "42"
            assert second.url == first.url


def test_all_of_it_killed_by_force_comes_back_with_its_data(data_dir: Path) -> None:
    with users(data_dir) as [first]:
        keep_a_row(first.url)
        killed = postmaster(data_dir)
        assert killed
        os.kill(killed, signal.SIGKILL)
        first.kill()
    with users(data_dir) as [second]:
        assert ask(second.url, "SELECT answer FROM kept") == "42"


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="this system does not tell what processes do")
def test_a_number_that_now_belongs_to_another_program_stops_nothing(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    server.start()
    server.stop()
    remains = data_dir / "cluster/postmaster.pid"
    remains.write_text(f"{os.getpid()}\n{remains.parent}\n1\n5432\n/nowhere\n\n 0 0\nready\n")
    shutil.chown(remains, remains.parent.owner())
    with users(data_dir) as [user]:
        assert ask(user.url, "SELECT 1") == "1"


def test_a_cluster_whose_making_was_interrupted_is_made_afresh(data_dir: Path) -> None:
    (data_dir / "cluster.new").mkdir(parents=True)
    (data_dir / "cluster.new/PG_VERSION").write_text("18\n")
    with users(data_dir) as [user]:
        assert ask(user.url, "SELECT 1") == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become nobody")
def test_root_runs_it_as_nobody(data_dir: Path) -> None:
    with users(data_dir):
        nobody = pwd.getpwnam("nobody").pw_uid
        assert (data_dir / "cluster/postmaster.pid").stat().st_uid == nobody
        assert (data_dir / "cluster").stat().st_mode & 0o777 == 0o700


def test_data_of_another_major_version_is_refused(data_dir: Path) -> None:
    (data_dir / "cluster").mkdir(parents=True)
    (data_dir / "cluster/PG_VERSION").write_text("17\n")
    with pytest.raises(SetupError, match="of PostgreSQL 17"):
        EmbeddedServer(data_dir).start()


def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(SetupError, match=r"(?s)/dev/null.*DATA_DIR"):
        EmbeddedServer(Path("/dev/null/postgres")).start()
