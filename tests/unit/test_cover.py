from datetime import UTC, datetime, timedelta

import pytest

from webapp.stock.cover import Consumption, Cover


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


@pytest.mark.parametrize(
    ("since", "days"),
    [(ago(minutes=5), 1), (ago(days=3, hours=1), 4), (ago(days=29, hours=23), 30), (ago(days=90), 30), (None, 30)],
)
def test_consumption_is_counted_from_the_first_change_seen_for_30_days_at_most(
    since: datetime | None, days: int
) -> None:
    assert Consumption.since(since, 5).days == days


def test_a_clock_that_is_behind_counts_as_the_first_day() -> None:
    assert Consumption.since(ago(minutes=-5), 5).days == 1


def test_the_stock_lasts_as_long_as_at_the_recent_rate() -> None:
    cover = Cover.of(40, 10, Consumption(60, 30))
    assert (cover.days, cover.days_to_reorder) == (20, 15)


def test_without_consumption_it_is_not_known_how_long_the_stock_lasts() -> None:
    cover = Cover.of(40, 10, Consumption(0, 30))
    assert (cover.days, cover.days_to_reorder) == (None, None)


def test_below_the_reorder_level_nothing_is_left_until_it() -> None:
    cover = Cover.of(5, 10, Consumption(30, 30))
    assert (cover.days, cover.days_to_reorder) == (5, 0)


def test_without_a_reorder_level_it_is_never_reached() -> None:
    assert Cover.of(5, None, Consumption(30, 30)).days_to_reorder is None
