"""How htmx 4.0.1 applies a message: all targets are found before any is swapped; a missing one is ignored."""

import re
from collections.abc import Iterable

from webapp.live.difference import Partial

Elements = dict[str, str]  # a list's elements: id -> HTML, in order
ELEMENT = re.compile(r'<(?P<tag>tr|li) id="(?P<id>[^"]+)"(?P<stub> data-same)?>.*?</(?P=tag)>', re.DOTALL)


def row(row_id: str, text: str) -> str:
    return f'<tr id="{row_id}">{text}</tr>'


def stub(row_id: str) -> str:
    return f'<tr id="{row_id}" data-same></tr>'


def elements_of(html: str) -> Elements:
    """Read a list's HTML."""
    return {match["id"]: match[0] for match in ELEMENT.finditer(html)}


def apply(name: str, shown: Elements, partials: Iterable[Partial]) -> Elements:
    """Return what the list called `name` shows after the partials that are about it."""
    found = [(partial, partial.target == f"#{name}" or partial.target[1:] in shown) for partial in partials]
    for partial, target_exists in found:
        if target_exists:
            shown = _swap(name, shown, partial)
    return shown


def _swap(name: str, shown: Elements, partial: Partial) -> Elements:
    new = {match["id"]: _morphed(shown, match) for match in ELEMENT.finditer(partial.html)}
    if partial.swap == "innerMorph":
        assert partial.target == f"#{name}"
        return new
    assert partial.swap == "outerMorph"
    return {element_id: new.get(element_id, html) for element_id, html in shown.items()}


def _morphed(shown: Elements, match: re.Match[str]) -> str:
    """A stub leaves the children of the element it meets; where there is none, it is an empty one, which is wrong."""
    return shown.get(match["id"], match[0]) if match["stub"] else match[0]
