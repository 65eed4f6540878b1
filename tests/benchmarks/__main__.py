"""Measure, show, and keep: `python3 dev.py bench [--quick] [--only NAME ...]`."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tests.benchmarks import fanout, growth, latency, report, stalled, stress, views, writers
from tests.benchmarks.figures import Table
from tests.benchmarks.lab import Lab, open_lab
from tests.benchmarks.programs import Missing

PARTS: dict[str, Callable[[Lab], Iterator[Table]]] = {
    "fanout": fanout.measure,
    "stalled": stalled.measure,
    "latency": latency.measure,
    "writers": writers.measure,
    "views": views.measure,
    "growth": growth.measure,
    "stress": stress.measure,
}
QUICK_LIMIT_S, FULL_LIMIT_S = 60, 300


def main() -> int:
    """Run the parts one after the other; return 1 if one has failed, 0 if what this machine has was measured."""
    options = _parser().parse_args()
    if sys.platform != "linux":
        sys.exit("The benchmark reads the clocks of other processes and uses epoll: it needs Linux.")
    with open_lab(quick=options.quick) as lab:
        conditions = report.conditions(lab)
        sys.stdout.write("".join(f"{name}: {value}\n" for name, value in conditions.items()) + "\n")
        tables = [table for name in options.only or PARTS for table in _run(lab, name)]
    results = report.keep(tables, conditions, lab.complaints)
    sys.stdout.write("".join(f"{line}\n" for line in (*lab.complaints, f"Kept in {results}, and a chart beside it.")))
    return 1 if any("failed" in complaint for complaint in lab.complaints) else 0


def _run(lab: Lab, name: str) -> Iterator[Table]:
    try:
        with _time_limit(QUICK_LIMIT_S if lab.quick else FULL_LIMIT_S):
            for table in PARTS[name](lab):
                sys.stdout.write(f"{table}\n")
                sys.stdout.flush()
                yield table
    except Missing as missing:
        lab.leave_out(str(missing))
    except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are of use
        lab.complain(f"{name} failed: {error!r}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py bench", description="Measure the project's speed beside its peers'.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: under 3 minutes")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given several times")
    return parser


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` in a part that takes longer than it can take where all is well."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"took longer than {seconds} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    sys.exit(main())
