"""Under what conditions it was measured, and what is left of it: a dated JSON, and a chart."""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from tests.benchmarks.chart import draw
from tests.benchmarks.figures import Table
from tests.benchmarks.lab import Lab
from tests.benchmarks.programs import FOLDER, ROOT

_BLOCK = bytes(8192)


def conditions(lab: Lab) -> dict[str, str]:
    """Return what the figures depend on: when, on what, of which commit."""
    with psycopg.connect(lab.url) as connection:
        release = connection.info.parameter_status("server_version")
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC{', quick' if lab.quick else ''}",
        "commit": _output("git", "describe", "--always", "--dirty") or "unknown",
        "machine": f"{len(os.sched_getaffinity(0))} × {_processor()}, Linux {platform.release()}",
        "disk": f"{_flush_ms(lab.server.data_dir):.2f} ms to write and flush 8 KB",
        "software": f"PostgreSQL {release}, Python {platform.python_version()}, Node {_output('node', '--version')}",
    }


def keep(tables: Sequence[Table], about: dict[str, str], complaints: Sequence[str]) -> Path:
    """Write all figures as JSON and the comparisons as SVG; return the path of the former."""
    FOLDER.mkdir(exist_ok=True)
    results = FOLDER / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}.json"
    figures = {"conditions": about, "complaints": list(complaints), "tables": [asdict(table) for table in tables]}
    results.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    title = f"{about['machine']}; {about['measured']}"
    results.with_suffix(".svg").write_text(draw([panel for table in tables for panel in table.panels], title))
    return results


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _flush_ms(folder: Path) -> float:
    """Return the median of some synchronous writes where the database lies: commits wait for these."""
    taken = []
    with (folder / "flush").open("wb") as file:
        for _ in range(50):
            started_at = time.perf_counter()
            file.write(_BLOCK)
            file.flush()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - started_at) * 1000)
    (folder / "flush").unlink()
    return statistics.median(taken)


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT).stdout.strip()
    except FileNotFoundError:
        return ""
