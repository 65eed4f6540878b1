from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from webapp.stock.charts import Chart, Level, short, step_chart

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 3, 2, 12, tzinfo=UTC)


def chart(
    *quantities: int | None,
    every: timedelta = timedelta(days=1),
    reorder_level: int | None = None,
) -> Chart:
    levels = [Level(START + number * every, quantity) for number, quantity in enumerate(quantities)]
    drawn = step_chart(levels, reorder_level, START + len(levels) * every, ZoneInfo("UTC"))
    assert drawn is not None
    return drawn


def test_a_quantity_stays_until_it_changes_and_is_drawn_as_steps() -> None:
    assert chart(10, 5, 0, 10).path == "M0 0H250V500H500V1000H750V0H1000"


def test_the_line_is_interrupted_while_the_item_was_deleted() -> None:
    drawn = chart(10, None, 10, None)
    assert drawn.path == "M0 0H250M500 0H750"
    assert drawn.last_place is None


def test_changes_at_the_same_moment_are_one_vertical_line() -> None:
    levels = [Level(START, 10), Level(START, 5), Level(START, 8)]
    drawn = step_chart(levels, None, START + timedelta(days=1), ZoneInfo("UTC"))
    assert drawn is not None
    assert drawn.path == "M0 0V500V200H1000"


def test_times_that_go_back_never_draw_backwards() -> None:
    levels = [Level(START, 10), Level(START + timedelta(hours=2), 5), Level(START + timedelta(hours=1), 8)]
    drawn = step_chart(levels, None, START + timedelta(hours=4), ZoneInfo("UTC"))
    assert drawn is not None
    assert drawn.path == "M0 0H500V500V200H1000"


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (0, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (41, ["0", "10", "20", "30", "40", "50"]),
        (150, ["0", "50", "100", "150"]),
        (123_456, ["0", "50k", "100k", "150k"]),
        (2**63 - 1, ["0", "2E", "4E", "6E", "8E", "10E"]),
    ],
)
def test_the_scale_begins_at_nothing_and_has_round_ticks(highest: int, labels: list[str]) -> None:
    assert [tick.label for tick in chart(highest).y_ticks] == labels


def test_the_reorder_level_is_on_the_scale_also_above_all_quantities() -> None:
    drawn = chart(3, reorder_level=20)
    assert drawn.reorder_place == 0
    assert drawn.last_place == 85


@pytest.mark.parametrize(
    ("every", "labels"),
    [
        (timedelta(minutes=1), ["11:52", "11:54", "11:56", "11:58", "12:00", "12:02"]),
        (timedelta(hours=1), ["12:00", "12:30", "13:00", "13:30", "14:00"]),
        (timedelta(hours=12), ["12:00", "18:00", "3 Mar", "06:00", "12:00"]),
        (timedelta(days=3), ["3 Mar", "4 Mar", "5 Mar"]),
        (timedelta(days=100), ["May 2026", "Jul 2026"]),
        (timedelta(days=700), ["2027", "2028", "2029"]),
    ],
)
def test_the_time_has_few_round_ticks_whatever_its_span(every: timedelta, labels: list[str]) -> None:
    drawn = [tick.label for tick in chart(1, 2, every=every).x_ticks]
    assert 2 <= len(drawn) <= 7
    assert drawn[: len(labels)] == labels


def test_days_begin_at_midnight_of_the_configured_zone_also_when_the_clocks_change() -> None:
    levels = [Level(datetime(2026, 3, 28, tzinfo=BERLIN), 1), Level(datetime(2026, 3, 29, tzinfo=BERLIN), 2)]
    drawn = step_chart(levels, None, datetime(2026, 3, 31, tzinfo=BERLIN), BERLIN)
    assert drawn is not None
    midnights = {tick.label: tick.place for tick in drawn.x_ticks if "Mar" in tick.label}
    assert midnights["29 Mar"] - midnights["28 Mar"] > midnights["30 Mar"] - midnights["29 Mar"]


def test_a_moment_later_the_chart_is_the_same() -> None:
    levels = [Level(START, 1), Level(START + timedelta(days=10), 2)]
    now = START + timedelta(days=20, hours=1)
    assert step_chart(levels, None, now, BERLIN) == step_chart(levels, None, now + timedelta(seconds=50), BERLIN)


def test_what_is_new_begins_within_the_chart_which_ends_now() -> None:
    now = START + timedelta(minutes=4)
    drawn = step_chart([Level(START, 5)], None, now, ZoneInfo("UTC"))
    assert drawn is not None
    assert drawn.path == "M600 0H1000"
    assert (drawn.x_ticks[-1].label, drawn.x_ticks[-1].place) == (f"{now:%H:%M}", 100)


def test_nothing_is_drawn_of_what_never_was() -> None:
    assert step_chart([], None, START, BERLIN) is None
    assert step_chart([Level(START, None)], None, START, BERLIN) is None


def test_large_numbers_are_short() -> None:
    assert [short(value) for value in (0, 9999, 10_000, 1_500_000, 10**19)] == ["0", "9999", "10k", "1.5M", "10E"]
