"""The status page's charts as numbers for an SVG: the last ten minutes, in slots as long as between two readings."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log10
from statistics import median

from webapp.live.receipts import Sample
from webapp.operations.vitals import MARK_S, MARKS, Reading
from webapp.stock.charts import SIDE, Tick, round_axis, short

SLOT = SIDE / MARKS  # units wide
SHORTEST_MS, DECADES = 1, 4  # 1 ms to 10 s, and every factor of ten takes as much room
_MINUTES = round(MARKS * MARK_S / 60)
_X_TICKS = tuple(
    Tick(round(100 - 100 * ago / _MINUTES, 2), f"{ago} min ago" if ago else "now") for ago in range(_MINUTES, -1, -2)
)


@dataclass(frozen=True, slots=True)
class StatusChart:
    """The geometry of a chart: a path for what is shown at once, one for what stands behind it, and the axes."""

    path: str
    behind: str
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...] = _X_TICKS


def latency_chart(samples: Iterable[Sample], now: float) -> StatusChart:
    """Draw for each slot the median, and behind it a line from the shortest to the longest."""
    slots: defaultdict[int, list[float]] = defaultdict(list)
    for sample in samples:
        slots[_slot(sample.at, now)].append(sample.seconds * 1000)
    drawn = {slot: values for slot, values in slots.items() if 0 <= slot < MARKS}
    return StatusChart(
        path="".join(f"M{_x(slot)} {_log_y(median(values))}h{SLOT:.2f}" for slot, values in drawn.items()),
        behind="".join(
            f"M{_x(slot + 0.5)} {_log_y(min(values))}V{_log_y(max(values)) - 1}" for slot, values in drawn.items()
        ),
        y_ticks=tuple(
            Tick(100 - 100 * decade / DECADES, label)
            for decade, label in enumerate(("1 ms", "10 ms", "0.1 s", "1 s", "10 s"))
        ),
    )


def rate_chart(past: Sequence[Reading], now: float) -> StatusChart:
    """Draw the frames of each second, as steps on a ground."""
    rates = [(_slot(after.at, now), frames_per_s(before, after)) for before, after in pairwise(past)]
    drawn = [(slot, rate) for slot, rate in rates if 0 <= slot < MARKS]
    step, top = round_axis(max(5, *(ceil(rate) for _, rate in drawn), 0))
    steps = "".join(_steps(drawn, top))
    return StatusChart(
        path=f"M{steps}" if steps else "",
        behind=f"M{_x(drawn[0][0])} {SIDE}L{steps}V{SIDE}Z" if steps else "",
        y_ticks=tuple(Tick(round(100 - 100 * value / top, 2), short(value)) for value in range(0, top + 1, step)),
    )


def frames_per_s(before: Reading, after: Reading) -> float:
    """Return how many frames were written in a second between two readings."""
    return (after.frames - before.frames) / max(after.at - before.at, 0.001)


def _slot(at: float, now: float) -> int:
    """Return the slot of a moment, 0 for the oldest that is shown; they stand on the clock and move once in a slot."""
    return int(at // MARK_S) - int(now // MARK_S) + MARKS - 1


def _x(slot: float) -> float:
    return round(slot * SLOT, 2)


def _log_y(milliseconds: float) -> int:
    share = log10(max(milliseconds, SHORTEST_MS) / SHORTEST_MS) / DECADES
    return round(SIDE - SIDE * min(share, 1.0))


def _steps(rates: Sequence[tuple[int, float]], top: int) -> Iterator[str]:
    for number, (slot, rate) in enumerate(rates):
        y = round(SIDE - SIDE * rate / top)
        yield f"V{y}" if number else f"{_x(slot)} {y}"
        yield f"H{_x(slot + 1)}"
