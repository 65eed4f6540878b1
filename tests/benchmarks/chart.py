"""The chart: a panel of bars for each comparison, in colours that suit a light and a dark page."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.benchmarks.figures import Panel, text

WIDTH, MARGIN, START, ROOM_FOR_VALUE = 820, 24, 270, 90
TITLE_HEIGHT, BAR_HEIGHT, GAP = 18, 23, 26


def draw(panels: Iterable[Panel], title: str) -> str:
    """Return the panels as SVG, one below the other."""
    y, placed = MARGIN + 8, []
    for panel in panels:
        placed.append({"title": panel.title, "y": y, "bars": list(_bars(panel, y + TITLE_HEIGHT - 6))})
        y += TITLE_HEIGHT + BAR_HEIGHT * len(panel.bars) + GAP
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    values = {"width": WIDTH, "height": y + MARGIN, "margin": MARGIN, "start": START}
    return environment.get_template("chart.svg.jinja").render(panels=placed, title=title, **values)


def _bars(panel: Panel, y: float) -> Iterable[dict[str, Any]]:
    longest = max(value or 0 for _, value in panel.bars) or 1
    for index, (label, value) in enumerate(panel.bars):
        yield {
            "y": y + index * BAR_HEIGHT,
            "label": label,
            "value": text(value),
            "length": round((value or 0) / longest * (WIDTH - START - ROOM_FOR_VALUE - MARGIN), 1),
            "is_ours": label.startswith("ours"),
        }
