"""The tests of what must never be lost, for longer than the suite has time for, each with its control."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import closing

import psycopg

from tests import couriers
from tests.benchmarks.figures import Table
from tests.benchmarks.lab import Lab
from tests.integration import test_exactly_once as exactly_once
from webapp.live.courier import Courier


def measure(lab: Lab) -> Iterator[Table]:
    """Yield what is lost by each way to follow, and by each way to hand over."""
    logging.getLogger("webapp").setLevel(logging.ERROR)  # that connections are lost is what is tried
    yield _cursors(lab, commits=5_000 if lab.quick else 25_000, kills=20 if lab.quick else 60)
    yield _hand_overs(lab, seconds=3 if lab.quick else 20)


def _cursors(lab: Lab, commits: int, kills: int) -> Table:
    lab.tell(f"stress: {commits:,} commits, {kills} times the listener's connection is killed")
    url = lab.inventory("cursors", 0)
    with closing(psycopg.connect(url, autocommit=True)) as database:
        outcome = asyncio.run(exactly_once.stress(url, database, commits, kills))
    committed = outcome.committed
    ways = {"ours, a snapshot": outcome.told, "control, the highest id seen": outcome.read_by_control}
    return Table(
        f"Stress: {exactly_once.WRITERS} writers, some slow to commit, some rolling back",
        ("cursor", "committed", "lost", "told twice", "told though rolled back"),
        tuple(
            (
                name,
                float(committed.total()),
                float((committed - told).total()),
                float((told - committed).total() - len(told.keys() - committed.keys())),
                float(len(told.keys() - committed.keys())),
            )
            for name, told in ways.items()
        ),
        f"The listener's connection was killed {kills} times; the control's was not.",
    )


def _hand_overs(lab: Lab, seconds: float) -> Table:
    rows = []
    for name, kind in {"ours, behind a barrier": Courier, "control, at once": couriers.HastyCourier}.items():
        lab.tell(f"stress: hand-over, {name}")
        outcome = asyncio.run(couriers.stress(lab.inventory("hand over", 0), seconds, kind))
        rows.append((name, float(outcome.commits), float(outcome.shifts), float(outcome.unheard)))
    return Table(
        "Stress: the courier comes and goes as often as it can",
        ("hand-over", "commits", "times busy", "last words unheard"),
        tuple(rows),
        "Nothing but notifications tells the listener here, no safety poll.",
    )
