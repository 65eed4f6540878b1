"""The application as it is run in earnest: by its command, in processes of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server import LiveServer
from tests.waiting import eventually
from webapp.settings import RESOURCES

SERVES = re.compile(r"process (\d+) serves")


class Served(LiveServer):
    """A server in processes of its own; `said` is what they log."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process, self.url, self._log = process, url, log
        self.port = int(url.rpartition(":")[2])
        self.socket_url = url.replace("http", "ws")

    @property
    def said(self) -> str:
        return self._log.read_text()

    def wait_for(self, count: int) -> list[int]:
        """Wait until so many processes have begun to serve; return their numbers."""
        eventually(lambda: len(SERVES.findall(self.said)) >= count, within_s=60)
        return [int(number) for number in SERVES.findall(self.said)]


@contextmanager
def serving(
    database_url: str, log: Path, *options: str, source: Path = RESOURCES, **variables: str
) -> Iterator[Served]:
    """Serve a database with the command of a checkout."""
    command = [sys.executable, "-m", "webapp", "serve", "--port", "0", *options]
    environment = os.environ | {"DATABASE_URL": database_url, "LOG_LEVEL": "info", **variables}
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            command, env=environment, cwd=source, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        assert process.stdout
        url = process.stdout.readline().strip().removeprefix("Live Inventory is on ")
        try:
            yield Served(process, url, log)
        finally:
            process.terminate()
            process.wait(20)
