"""How htmx 4.0.1 applies a message: all targets are found before any is swapped; a missing one is ignored."""

import re
from collections.abc import Iterable

from webapp.difference import Partial

Rows = dict[str, str]  # id -> HTML, in order
ELEMENT = re.compile(r'<tr id="(?P<id>[^"]+)"(?P<stub> data-same)?>(?P<text>[^<]*)</tr>')


def row(row_id: str, text: str) -> str:
    return f'<tr id="{row_id}">{text}</tr>'


def stub(row_id: str) -> str:
    return f'<tr id="{row_id}" data-same></tr>'


def apply(rows: Rows, partials: Iterable[Partial]) -> Rows:
    found = [(partial, partial.target == "#rows" or partial.target[1:] in rows) for partial in partials]
    for partial, target_exists in found:
        if target_exists:
            rows = _swap(rows, partial)
    return rows


def _swap(rows: Rows, partial: Partial) -> Rows:
    new = {match["id"]: _morphed(rows, match) for match in ELEMENT.finditer(partial.html)}
    if partial.swap == "innerMorph":
        assert partial.target == "#rows"
        return new
    assert partial.swap == "outerMorph"
    return {row_id: new.get(row_id, html) for row_id, html in rows.items()}


def _morphed(rows: Rows, match: re.Match[str]) -> str:
    """A stub leaves the children of the row it meets; where there is none, it is an empty row, which is wrong."""
    return rows.get(match["id"], match[0]) if match["stub"] else match[0]
