"""How long a listener lets changes gather."""

import pytest

from webapp.live.changes import Change, Changes, Event, Resync
from webapp.live.listener import MANY_CHANGES, REST_S, SAFETY_POLL_S, Listener

CHANGE = Change(1, 1, "update", 1, None, None)
FEW = Changes((CHANGE,) * (MANY_CHANGES - 1))
MANY = Changes((CHANGE,) * MANY_CHANGES)


def rests(listener: Listener, *told: Event | None) -> list[float]:
    return [listener._rest_after(event) for event in told]


@pytest.mark.parametrize("many", [MANY, Resync()])
def test_while_somebody_watches_it_rests_a_moment_after_many_changes(many: Event) -> None:
    assert rests(Listener("").enter(), many, many, FEW, None, many) == [REST_S, REST_S, 0, 0, REST_S]


@pytest.mark.parametrize("many", [MANY, Resync()])
def test_while_nobody_watches_it_rests_longer_each_time_up_to_the_safety_poll(many: Event) -> None:
    expected = [4 * REST_S, 16 * REST_S, SAFETY_POLL_S, SAFETY_POLL_S]
    assert rests(Listener(""), many, many, many, many) == expected


@pytest.mark.parametrize("few", [FEW, None])
def test_few_changes_end_the_long_rests(few: Event | None) -> None:
    assert rests(Listener(""), MANY, MANY, few, MANY) == [4 * REST_S, 16 * REST_S, 0, 4 * REST_S]


def test_who_comes_ends_the_long_rests_until_all_have_left() -> None:
    listener = Listener("")
    assert rests(listener, MANY, MANY) == [4 * REST_S, 16 * REST_S]
    listener.enter()
    assert rests(listener, MANY) == [REST_S]
    listener.leave()
    assert rests(listener, MANY) == [4 * REST_S]
