"""Programs that are measured from outside: what they use of the processor and of the memory. Needs Linux."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

START_LIMIT_S = 30.0
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".bench"  # all that is written: results, what was compiled or installed, the programs' complaints
LOG = FOLDER / "programs.log"


class Missing(Exception):
    """What a part needs and this machine lacks; the part is left out."""


class Program:
    """A child process, kept to some of the processors where `cores` names them; it ends with its input."""

    def __init__(
        self, *command: object, cores: Collection[int] | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stderr=_log(),
            text=True,
        )
        if cores:
            os.sched_setaffinity(self.process.pid, cores)

    def write_line(self, line: str) -> None:
        """Give the program a line on its input."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def read_line(self) -> str:
        """Return the next line that it prints; raises `RuntimeError` where it has ended instead."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} has ended")
        return line.rstrip("\n")

    def cpu_s(self) -> float:
        """Return the seconds of processor time used so far, by all its threads and by the kernel for them."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # the clock that clock_getcpuclockid(3) names

    def resident_kb(self) -> float:
        """Return the memory that it has in RAM."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024

    def stop(self) -> None:
        """End it, by force if it does not end itself."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def python(*words: object, **options: Any) -> Program:
    """Start a module of this Python."""
    return Program(sys.executable, "-m", *words, **options)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def await_port(program: Program, port: int) -> None:
    """Return when the program accepts connections; raises `RuntimeError` where it does not."""
    ends_at = time.monotonic() + START_LIMIT_S
    while program.process.poll() is None and time.monotonic() < ends_at:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{program.process.args!r} did not start; see {LOG}")


@cache
def _log() -> IO[bytes]:
    FOLDER.mkdir(exist_ok=True)
    return LOG.open("wb")
