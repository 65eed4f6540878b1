"""The application's command: called within the test's process, or run as a person or a process manager runs it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from tests.server import LiveServer
from tests.waiting import eventually
from webapp import cli
from webapp.settings import RESOURCES, Settings, load_settings

COMMAND = (sys.executable, "-m", "webapp")
SERVES = re.compile(r"process (\d+) serves")
Done = subprocess.CompletedProcess[str]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment without what a developer may have set for the application."""
    ours = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name not in ours} | variables


def call(*arguments: str, stdin: str = "", **variables: str) -> Done:
    """Do what the command does, in this process, which takes no time to start: for commands that end by themselves."""
    with (
        patch.dict(os.environ, environment(**variables), clear=True),
        patch("sys.stdin", StringIO(stdin)),
        redirect_stdout(StringIO()) as stdout,
        redirect_stderr(StringIO()) as stderr,
    ):
        load_settings.cache_clear()
        try:
            status = cli.main([*arguments])
        except SystemExit as end:  # argparse's, of a usage that is wrong
            status = int(end.code or 0)
        finally:
            load_settings.cache_clear()
    return Done(arguments, status, stdout.getvalue(), stderr.getvalue())


def refusal(*arguments: str, **variables: str) -> str:
    """Call a command that must fail; return its message."""
    return refused(call(*arguments, **variables))


def refused(done: Done) -> str:
    """Return what a command said that had to fail, and has."""
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def run(*arguments: str, stdin: str = "", **variables: str) -> Done:
    """Run the command to its end, in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**variables),
        cwd=RESOURCES,
        input=stdin.encode(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


class Served(LiveServer):
    """A server in processes of its own; `said` is what they log."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self._log = process, url, log
        self.port = int(url.rpartition(":")[2])
        self.socket_url = url.replace("http", "ws")

    @property
    def said(self) -> str:
        return self._log.read_text()

    def next_line(self) -> str:
        """Return the next line that it tells who started it."""
        assert self.process.stdout
        return self.process.stdout.readline()

    def workers(self) -> list[int]:
        """Return the numbers of the processes that have begun to serve, the newest last; some may be dead."""
        return [int(number) for number in SERVES.findall(self.said)]

    def wait_for(self, count: int) -> list[int]:
        """Wait until so many processes have begun to serve; return their numbers."""
        eventually(lambda: len(self.workers()) >= count, within_s=60)
        return self.workers()


@contextmanager
def serving(
    database_url: str,
    log: Path,
    *options: str,
    command: Sequence[str] = (*COMMAND, "serve"),
    source: Path = RESOURCES,
    **variables: str,
) -> Iterator[Served]:
    """Serve a database with the command of a checkout; it has said where it is when the context begins."""
    variables = {"DATABASE_URL": database_url, "PORT": "0", "LOG_LEVEL": "info", **variables}
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*command, *options],
            env=environment(**variables),
            cwd=source,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        assert process.stdout
        try:
            url = process.stdout.readline().strip().removeprefix("Live Inventory is on ")
            yield Served(process, url, log)
        finally:
            process.terminate()
            process.wait(30)
