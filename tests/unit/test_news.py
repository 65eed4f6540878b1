import pytest

from webapp.live import news
from webapp.live.changes import Change, ItemState
from webapp.live.news import News


def state(name: str = "apples", quantity: int = 3, unit: str | None = "kg") -> ItemState:
    return ItemState(name, quantity, unit, None, None, None, name, name, unit, None, None)


def test_one_change_is_told_by_itself() -> None:
    told = News()
    told.hear([Change(1, 700, "update", 1, state(quantity=4), state())])
    assert told.take() == "apples: 3 kg."
    assert told.take() == ""


def test_many_changes_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("webapp.live.news.time.monotonic", lambda: now)
    told = News()
    told.hear([Change(1, 700, "insert", 1, None, state())])
    assert told.take()
    for _ in range(500):
        told.hear([Change(2, 700, "update", 1, state(), state(quantity=7, unit=None))])
        assert told.take() == ""
    now += news.PAUSE_S
    assert told.take() == "500 changes. The last: apples: 7 in stock."


def test_what_goes_is_told() -> None:
    told = News()
    told.hear([Change(1, 700, "delete", 1, state("pears"), None)])
    assert told.take() == "pears is gone."
    told = News()
    told.hear([Change(1, 700, "truncate", None, None, None)])
    assert told.take() == "All items are gone."
