"""What the status page draws, and how soon pages warn."""

import re
from dataclasses import fields, replace
from typing import Any

import pytest

from webapp.live.live_view import CERTAIN_FOR_S
from webapp.live.receipts import Sample
from webapp.operations.status import Latency
from webapp.operations.status_charts import SLOT, latency_chart, rate_chart
from webapp.operations.vitals import MARK_S, MARKS, Reading
from webapp.rendering import STATIC

NOW = 10_000 * MARK_S + 1
_ZEROS: dict[str, Any] = {field.name: 0 for field in fields(Reading)}
NOTHING = Reading(**_ZEROS)


def test_server_and_stylesheet_together_wait_less_than_five_seconds_before_a_page_says_that_it_is_stale() -> None:
    found = re.search(r"\.stale \{[^}]*animation: shown 1ms linear ([0-9.]+)s", (STATIC / "css/app.css").read_text())
    assert found
    assert CERTAIN_FOR_S + float(found[1]) < 5


def test_samples_of_a_slot_are_one_mark_at_their_median_and_a_line_from_the_shortest_to_the_longest() -> None:
    chart = latency_chart([Sample(NOW, seconds) for seconds in (0.001, 0.1, 10.0)], NOW)
    x = round((MARKS - 1) * SLOT, 2)
    assert chart.path == f"M{x} 500h{SLOT:.2f}"
    assert chart.behind == f"M{round((MARKS - 0.5) * SLOT, 2)} 1000V-1"


@pytest.mark.parametrize(("seconds", "y"), [(0.0, 1000), (0.001, 1000), (0.01, 750), (1.0, 250), (10.0, 0), (60.0, 0)])
def test_every_factor_of_ten_takes_as_much_room_and_nothing_leaves_the_drawing(seconds: float, y: int) -> None:
    assert f" {y}h" in latency_chart([Sample(NOW, seconds)], NOW).path


def test_samples_that_are_too_old_are_not_drawn() -> None:
    oldest, older = NOW - (MARKS - 1) * MARK_S, NOW - MARKS * MARK_S
    assert latency_chart([Sample(oldest, 1.0)], NOW).path.startswith("M0.0 ")
    assert latency_chart([Sample(older, 1.0)], NOW).path == ""


def test_frames_a_second_are_steps_on_a_ground() -> None:
    past = [replace(NOTHING, at=NOW - ago * MARK_S, frames=frames) for ago, frames in ((2, 0), (1, 0), (0, 50))]
    chart = rate_chart(past, NOW)
    first, second, end = (round((MARKS - left) * SLOT, 2) for left in (2, 1, 0))
    assert chart.path == f"M{first} 1000H{second}V0H{end}"
    assert chart.behind == f"M{first} 1000L{first} 1000H{second}V0H{end}V1000Z"
    assert [tick.label for tick in chart.y_ticks] == ["0", "2", "4", "6", "8", "10"]


@pytest.mark.parametrize("past", [[], [replace(NOTHING, at=NOW)]])
def test_a_process_without_a_past_has_an_empty_chart(past: list[Reading]) -> None:
    chart = rate_chart(past, NOW)
    assert (chart.path, chart.behind) == ("", "")
    assert chart.y_ticks[0].label == "0"


def test_latencies_are_summed_up_by_median_and_percentile() -> None:
    assert Latency.of([]) is None
    assert Latency.of([2.0]) == Latency(2.0, 2.0, 1)
    assert Latency.of([float(number) for number in range(101)]) == Latency(50.0, 99.0, 101)
