"""What screen readers say of live changes: a sentence now and then, however many there are."""

import time
from collections.abc import Sequence

from webapp.live.changes import Change

PAUSE_S = 15.0


class News:
    """Counts changes, and puts them into one sentence at most every `PAUSE_S` seconds."""

    def __init__(self) -> None:
        self._count = 0
        self._last: Change | None = None
        self._told_at = float("-inf")

    def hear(self, changes: Sequence[Change]) -> None:
        """Take note of committed changes."""
        self._count += len(changes)
        self._last = changes[-1]

    def take(self) -> str:
        """Return the next sentence, or nothing while there is none or the last is too recent."""
        now = time.monotonic()
        if self._last is None or now - self._told_at < PAUSE_S:
            return ""
        sentence = _sentence(self._count, self._last)
        self._count, self._last, self._told_at = 0, None, now
        return sentence


def _sentence(count: int, last: Change) -> str:
    told = _what_happened(last)
    return told if count == 1 else f"{count} changes. The last: {told}"


def _what_happened(change: Change) -> str:
    if change.after is not None:
        return f"{change.after.name}: {change.after.quantity} {change.after.unit or 'in stock'}."
    return f"{change.before.name} is gone." if change.before else "All items are gone."
