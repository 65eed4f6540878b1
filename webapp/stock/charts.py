"""A quantity over time as numbers for an SVG: steps, and axes whose ticks are round."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

SIDE = 1000  # the drawing is that many units wide and high; the page stretches it
MOST_X_TICKS, MOST_Y_TICKS = 6, 5
SHORTEST = timedelta(minutes=10)
_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 5760, 10080, 20160)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 12000)
_MONTH_MINUTES = 43_830
_PREFIXES = "kMGTPE"


@dataclass(frozen=True, slots=True)
class Level:
    """A quantity from a moment on; None: there was no item."""

    at: datetime
    quantity: int | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: its place in percent of the drawing, from the left or the top, and its label."""

    place: float
    label: str

    @property
    def anchor(self) -> str:
        """Which end of the label stands at the mark, so that no label leaves the drawing."""
        return "start" if self.place < 6 else "end" if self.place > 94 else "middle"


@dataclass(frozen=True, slots=True)
class Chart:
    """The geometry of a chart, and what it says in words."""

    path: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    reorder_place: float | None
    last_place: float | None
    first: Level
    lowest: int
    highest: int
    steps: int


def step_chart(levels: Sequence[Level], reorder_level: int | None, ends_at: datetime, zone: ZoneInfo) -> Chart | None:
    """Draw levels, in the order of time, until a moment; None: there is nothing to draw."""
    quantities = [level.quantity for level in levels if level.quantity is not None]
    if not quantities:
        return None
    starts_at, ends_at = _span(levels, ends_at.astimezone(UTC))
    y_step, top = round_axis(max(*quantities, reorder_level or 0, 1))
    x_places = [_share(level.at, starts_at, ends_at) for level in levels]
    last = levels[-1].quantity
    return Chart(
        path="".join(_steps(levels, x_places, top)),
        x_ticks=tuple(_x_ticks(starts_at, ends_at, zone)),
        y_ticks=tuple(Tick(_percent(value, top), short(value)) for value in range(0, top + 1, y_step)),
        reorder_place=None if reorder_level is None else _percent(reorder_level, top),
        last_place=None if last is None else _percent(last, top),
        first=next(level for level in levels if level.quantity is not None),
        lowest=min(quantities),
        highest=max(quantities),
        steps=len(levels) - 1,
    )


def short(value: int) -> str:
    """Write a round number in few characters: 950, 20k, 1.5M."""
    power = min((len(str(value)) - 1) // 3, len(_PREFIXES))
    if value < 10_000:
        return str(value)
    return f"{value / 1000**power:.3g}{_PREFIXES[power - 1]}"


def _span(levels: Sequence[Level], ends_at: datetime) -> tuple[datetime, datetime]:
    """Return the first and the last moment shown, `SHORTEST` apart at least.

    The last is rounded up, so that who looks a moment later sees the same chart: to a fortieth of the time or less.
    """
    starts_at, ends_at = levels[0].at.astimezone(UTC), max(ends_at, levels[-1].at.astimezone(UTC))
    minutes = max(ends_at - starts_at, SHORTEST).total_seconds() / 60
    step_s = 60 * next((step for step in reversed(_MINUTES) if step * 40 < minutes), 1)
    ends_at = datetime.fromtimestamp(-(-ends_at.timestamp() // step_s) * step_s, UTC)
    return min(starts_at, ends_at - SHORTEST), ends_at


def _share(at: datetime, starts_at: datetime, ends_at: datetime) -> float:
    """Return how far a moment is on the way, from 0 to 1. Times of one zone would be subtracted by its clock."""
    start = starts_at.timestamp()
    return min(1.0, max(0.0, (at.timestamp() - start) / (ends_at.timestamp() - start)))


def round_axis(highest: int) -> tuple[int, int]:
    """Return the distance of the ticks, 1, 2 or 5 with noughts, and the last tick, which is not below `highest`."""
    power = 10 ** max(0, len(str(highest // MOST_Y_TICKS)) - 1)
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if step * MOST_Y_TICKS >= highest)
    return step, -(-highest // step) * step


def _percent(value: int, top: int) -> float:
    return round(100 - 100 * value / top, 2)


def _steps(levels: Iterable[Level], x_places: Iterable[float], top: int) -> Iterator[str]:
    """Yield the commands of the path: across, then up or down; the pen is lifted while there is no item."""
    pen_is_down = False
    x = drawn_to = 0
    for level, share in zip(levels, x_places, strict=True):
        x = max(x, round(share * SIDE))
        y = None if level.quantity is None else round(SIDE - SIDE * level.quantity / top)
        if pen_is_down and x > drawn_to:
            yield f"H{x}"
        if y is not None:
            yield f"V{y}" if pen_is_down else f"M{x} {y}"
        pen_is_down, drawn_to = y is not None, x
    if pen_is_down:
        yield f"H{SIDE}"


def _x_ticks(starts_at: datetime, ends_at: datetime, zone: ZoneInfo) -> Iterator[Tick]:
    minutes = (ends_at - starts_at).total_seconds() / 60
    step = next((step for step in _MINUTES if step * MOST_X_TICKS >= minutes), None)
    if step is not None:
        moments, label = _every_minutes(starts_at, step, zone), _time if step < 1440 else _day
    else:
        months = next((step for step in _MONTHS if step * _MONTH_MINUTES * MOST_X_TICKS >= minutes), _MONTHS[-1])
        moments, label = _every_months(starts_at, months, zone), _month if months < 12 else _year
    for moment in takewhile(lambda moment: moment <= ends_at, moments):
        if moment >= starts_at:
            yield Tick(round(100 * _share(moment, starts_at, ends_at), 2), label(moment))


def _time(at: datetime) -> str:
    return _day(at) if at.hour == at.minute == 0 else f"{at:%H:%M}"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b}"


def _month(at: datetime) -> str:
    return f"{at:%b %Y}"


def _year(at: datetime) -> str:
    return f"{at.year}"


def _every_minutes(starts_at: datetime, step: int, zone: ZoneInfo) -> Iterator[datetime]:
    """Yield the round moments of the local clock; days are as long as they are there."""
    local = starts_at.astimezone(zone).replace(tzinfo=None)
    counted = (local - datetime(1970, 1, 5)) // timedelta(minutes=step)  # noqa: DTZ001 - a Monday, by the local clock
    while True:
        yield (datetime(1970, 1, 5) + counted * timedelta(minutes=step)).replace(tzinfo=zone)  # noqa: DTZ001
        counted += 1


def _every_months(starts_at: datetime, step: int, zone: ZoneInfo) -> Iterator[datetime]:
    local = starts_at.astimezone(zone)
    counted = (local.year * 12 + local.month - 1) // step
    while counted * step // 12 <= 9999:
        yield datetime(max(1, counted * step // 12), counted * step % 12 + 1, 1, tzinfo=zone)
        counted += 1
