"""Thousands of WebSockets in a small C program, far cheaper than any server: how soon does the last one have it?"""

import queue
import shutil
import subprocess
import tempfile
import threading
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.lab import other_cores
from tests.benchmarks.programs import FOLDER, Missing, Program

_SOURCE = Path(__file__).with_name("crowd.c")
JOIN_LIMIT_S = 90
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Arrival(NamedTuple):
    """A broadcast that every socket has: when the last got it (`time.monotonic_ns`), and all there was until then."""

    number: int
    last_at_ns: int
    frames: int
    received_bytes: int


class Crowd:
    """So many sockets that have joined a server at an address; `hello` is the text that each sends first."""

    def __init__(self, port: int, sockets: int, path: str = "/", *, hello: str = "", deflate: bool = False) -> None:
        self.sockets = sockets
        with tempfile.TemporaryDirectory() as folder:
            request, greeting = Path(folder, "request"), Path(folder, "greeting")
            request.write_text(_request(port, path, deflate=deflate), newline="")
            greeting.write_bytes(_frame(hello) if hello else b"")
            self.program = Program(_compiled(), port, sockets, request, greeting, cores=other_cores())
            self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
            threading.Thread(target=self._read, daemon=True).start()
            if self._next_line(JOIN_LIMIT_S) != "ready":
                self.program.stop()
                raise RuntimeError("the crowd could not join")

    def arrival(self, number: int, limit_s: float) -> Arrival | None:
        """Return the arrival of a broadcast at the last socket; None if some had only a newer one, or none in time."""
        ends_at = time.monotonic() + limit_s
        while (line := self._next_line(ends_at - time.monotonic())) is not None:
            arrival = Arrival(*map(int, line.split()))
            if arrival.number == number:
                return arrival
        return None

    def _next_line(self, limit_s: float) -> str | None:
        try:
            return self._lines.get(timeout=max(0, limit_s))
        except queue.Empty:
            return None

    def _read(self) -> None:
        assert self.program.process.stdout
        for line in self.program.process.stdout:
            self._lines.put(line.strip())


@cache
def _compiled() -> Path:
    compiler = shutil.which("cc")
    if not compiler:
        raise Missing("cc, a C compiler for the load client")
    program = FOLDER / "crowd"
    subprocess.run([compiler, "-O2", "-o", program, _SOURCE], check=True)
    return program


def _request(port: int, path: str, *, deflate: bool) -> str:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {_KEY}", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Extensions: permessage-deflate"] if deflate else []
    return "".join(f"{line}\r\n" for line in [*lines, ""])


def _frame(text: str) -> bytes:
    """Return a masked text frame; a mask of zeros leaves the text as it is."""
    payload = text.encode()
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return b"\x81" + length + bytes(4) + payload
