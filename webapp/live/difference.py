"""The difference between what a page shows and what it should show, as pieces that htmx swaps in.

htmx resolves all targets of a message before it swaps any, so no piece may depend on another one; and a page may
get a message twice, so each piece leaves the same result when it is applied again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Entry:
    """One element of a list: its id in the page, its HTML, and the value the HTML was rendered from."""

    id: str
    html: str
    value: object = None


@dataclass(frozen=True, slots=True)
class Partial:
    """One swap: a CSS selector, an htmx swap style, and HTML."""

    target: str
    swap: str
    html: str


@dataclass(frozen=True)
class Snapshot:
    """Exactly what a view shows: the entries of its lists by the list's id, and single elements by their id."""

    lists: Mapping[str, tuple[Entry, ...]]
    elements: Mapping[str, str]
    build: str = ""

    @cached_property
    def revision(self) -> str:
        """Digest of all that is shown and of the build that rendered it; the page hands it back."""
        digest = blake2b(self.build.encode(), digest_size=12)
        for name, entries in self.lists.items():
            digest.update(f"\0{name}\0".encode())
            for entry in entries:
                digest.update(entry.html.encode())
        for name, html in self.elements.items():
            digest.update(f"\0{name}\0{html}".encode())
        return digest.hexdigest()


Highlight = Callable[[Entry, Entry | None], str]
Stub = Callable[[Entry], str]


def difference(old: Snapshot, new: Snapshot, highlight: Highlight, stub: Stub) -> Iterator[Partial]:
    """Yield the swaps that turn a page showing `old` into one showing `new`.

    `highlight(entry, before)` renders an entry that changed or came (`before` is None); `stub(entry)` is the empty
    element that stands for an unchanged one.
    """
    for name, entries in new.lists.items():
        yield from _list_difference(name, old.lists[name], entries, highlight, stub)
    for name, html in new.elements.items():
        if html != old.elements[name]:
            yield Partial(f"#{name}", "outerMorph", html)


def count_changed(old: Snapshot, new: Snapshot) -> int:
    """Count the entries of all lists that changed, came or left."""
    count = 0
    for name, entries in new.lists.items():
        differing = {(entry.id, entry.html) for entry in old.lists[name]} ^ {(e.id, e.html) for e in entries}
        count += len({entry_id for entry_id, _ in differing})
    return count


def everything(snapshot: Snapshot) -> Iterator[Partial]:
    """Yield the swaps that turn any page of this view into one showing `snapshot`."""
    for name, entries in snapshot.lists.items():
        yield Partial(f"#{name}", "innerMorph", "".join(entry.html for entry in entries))
    for name, html in snapshot.elements.items():
        yield Partial(f"#{name}", "outerMorph", html)


def _list_difference(
    name: str, old: tuple[Entry, ...], new: tuple[Entry, ...], highlight: Highlight, stub: Stub
) -> Iterator[Partial]:
    shown = {entry.id: entry for entry in old}
    changed = {entry.id for entry in new if entry.id not in shown or shown[entry.id].html != entry.html}
    if [entry.id for entry in old] != [entry.id for entry in new]:
        pieces = (highlight(entry, shown.get(entry.id)) if entry.id in changed else stub(entry) for entry in new)
        yield Partial(f"#{name}", "innerMorph", "".join(pieces))
        return
    for entry in new:
        if entry.id in changed:
            yield Partial(f"#{entry.id}", "outerMorph", highlight(entry, shown[entry.id]))
