"""What the courier takes for a rush of writers."""

from collections.abc import Iterator
from itertools import count

import pytest

from webapp.live.changes import Change, Changes, Resync
from webapp.live.courier import RUSH_TRANSACTIONS, Courier


class Told:
    """Tells a courier of transactions, and how long after those before."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.courier = Courier("")
        self._now = 0.0
        self._xids: Iterator[int] = count()
        monkeypatch.setattr("time.monotonic", lambda: self._now)

    def after(self, seconds: float, transactions: int) -> None:
        self._now += seconds
        told = (
            Change(xid, xid, "update", 1, None, None) for _, xid in zip(range(transactions), self._xids, strict=False)
        )
        self.courier.hear(Changes(tuple(told)))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def test_many_in_a_moment_are_a_rush_whether_told_one_by_one_or_together(told: Told) -> None:
    for _ in range(RUSH_TRANSACTIONS):
        assert not told.courier._rush.is_set()
        told.after(0.005, 1)
    assert told.courier._rush.is_set()
    told.courier._rush.clear()
    told.after(0.02, RUSH_TRANSACTIONS)
    assert told.courier._rush.is_set()


def test_what_gathered_while_nobody_watched_is_none(told: Told) -> None:
    for _ in range(5):
        told.after(1, 5 * RUSH_TRANSACTIONS)
    assert not told.courier._rush.is_set()


def test_what_was_too_much_to_be_told_is_a_rush_if_many_made_it(told: Told) -> None:
    told.courier.hear(Resync())
    told.courier.hear(Resync(RUSH_TRANSACTIONS - 1))
    assert not told.courier._rush.is_set()
    told.courier.hear(Resync(RUSH_TRANSACTIONS))
    assert told.courier._rush.is_set()
