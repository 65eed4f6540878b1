"""What a live view shows: where that comes from, and what of it pages may still have."""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from webapp.live.changes import Changes, Touch
from webapp.live.difference import Entry, Partial, Snapshot, count_changed, difference, everything

RECENT_SNAPSHOTS = 20


class Source(Protocol):
    """What a live view shows: how to read it, what touches it, and how its pieces are rendered."""

    async def load(self, touch: Touch) -> Snapshot:
        """Read and render what is to be shown now, with one statement per list; `touch` says what may be old."""

    def touched_by(self, changes: Changes) -> Touch:
        """Say what committed changes can alter of what was loaded last, whether it has them already or not."""

    def highlight(self, entry: Entry, before: Entry | None) -> str:
        """Render an entry that changed or came."""

    def stub(self, entry: Entry) -> str:
        """Render the empty element that stands for an unchanged entry."""

    def frame(self, partials: Iterable[Partial], revision: str) -> str:
        """Render a frame that ends with the revision the page then shows."""


class Snapshots:
    """The newest snapshot of a source and a few recent ones, by revision; and the frames from those to the newest."""

    def __init__(self, source: Source) -> None:
        self.newest: Snapshot | None = None
        self._source = source
        self._recent: OrderedDict[str, Snapshot] = OrderedDict()
        self._frames: dict[str, str] = {}

    def __contains__(self, revision: str) -> bool:
        return revision in self._recent

    def add(self, snapshot: Snapshot) -> None:
        """Take what is shown from now on."""
        if self.newest is None or snapshot.revision != self.newest.revision:
            self.newest = snapshot
            self._frames.clear()
        self._recent[snapshot.revision] = snapshot
        self._recent.move_to_end(snapshot.revision)
        if len(self._recent) > RECENT_SNAPSHOTS:
            self._recent.popitem(last=False)

    def frame_since(self, revision: str) -> tuple[str, str]:
        """Return the frame for a page that shows `revision`, "" if it shows all, and the newest revision."""
        newest = self.newest
        if newest is None or revision == newest.revision:
            return "", revision
        old = self._recent.get(revision)
        key = revision if old else ""  # clients may claim any revision: whatever is unknown shares one frame
        if key not in self._frames:
            source = self._source
            partials = difference(old, newest, source.highlight, source.stub) if old else everything(newest)
            self._frames[key] = source.frame(partials, newest.revision)
        return self._frames[key], newest.revision

    def changed_since(self, revision: str) -> int | None:
        """Count the entries that differ from what a page shows; None if that is not known any more."""
        if self.newest is None or revision == self.newest.revision:
            return 0
        old = self._recent.get(revision)
        return count_changed(old, self.newest) if old else None
