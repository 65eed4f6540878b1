"""Figures and what is made of them: medians, percentiles, slopes, tables."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import linear_regression, median

Cell = str | float | None


@dataclass(frozen=True, slots=True)
class Panel:
    """Figures that the chart draws beside each other, each with its label."""

    title: str
    bars: tuple[tuple[str, float | None], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures side by side, with their units in the columns' names, and what the chart draws of them."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    panels: tuple[Panel, ...] = ()

    def __str__(self) -> str:
        """Return the table as Markdown, its columns aligned."""
        texts = [self.columns, *(tuple(map(text, row)) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        head, *body = [" | ".join(_aligned(row, widths)) for row in texts]
        rule = " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
        lines = [f"### {self.title}", "", *(f"| {line} |" for line in (head, rule, *body))]
        return "\n".join([*lines, *(["", self.note] if self.note else []), ""])


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]


def text(cell: Cell) -> str:
    """Return a figure with three digits, or more where they stand before the point."""
    if cell is None:
        return "-"
    if isinstance(cell, str):
        return cell
    if float(cell).is_integer() or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.{max(0, 2 - math.floor(math.log10(abs(cell))))}f}"


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest value that at least this share of all values does not exceed; None of no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def middle(values: Iterable[float]) -> float | None:
    """Return the median; None of no values."""
    found = list(values)
    return median(found) if found else None


def ratio(value: float | None, base: float | None) -> float | None:
    """Return how many times the base a value is."""
    return value / base if value is not None and base else None


def slope(sizes: Sequence[float], values: Sequence[Cell]) -> float | None:
    """Return the power of the size with which a figure grows: 0 not at all, 1 in proportion to it."""
    points = [
        (math.log(size), math.log(value))
        for size, value in zip(sizes, values, strict=True)
        if isinstance(value, float | int) and value > 0
    ]
    return linear_regression(*zip(*points, strict=True)).slope if len(points) > 1 else None
