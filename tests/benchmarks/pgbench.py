"""PostgreSQL's own load generator: random single-row updates at full speed, or at a given rate."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.programs import FOLDER, ROOT
from webapp.postgres.binaries import find_binaries

ROWS = 10_000
_SCRIPT = f"""
\\set id random(1, {ROWS})
UPDATE inventory SET quantity = quantity + 1 WHERE id = :id;
"""
_RATE = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


def transactions_per_s(url: str, clients: int, seconds: float, options: str = "") -> float:
    """Return the rate at which so many clients update, in sessions with the server's `options`."""
    with running(url, clients, seconds, options=options) as process:
        output, _ = process.communicate(timeout=seconds + 60)
    found = _RATE.search(output)
    if process.returncode or not found:
        raise RuntimeError(f"pgbench failed:\n{output}")
    return float(found[1])


@contextmanager
def running(
    url: str, clients: int, seconds: float, *, rate: int = 0, options: str = ""
) -> Iterator["subprocess.Popen[str]"]:
    """Update in the background, at most `rate` times a second where it is given; ended with the context."""
    script = FOLDER / "update.sql"
    script.write_text(_SCRIPT)
    arguments = ["-n", "-M", "prepared", "-c", clients, "-j", 2, "-T", max(1, round(seconds)), "-f", script]
    process = subprocess.Popen(
        [str(word) for word in (find_binaries().folder / "pgbench", *arguments, *(["-R", rate] if rate else []), url)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env={"PGOPTIONS": options},
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
