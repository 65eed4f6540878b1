"""The live views of a process: one for all who look at the same, made by the first and kept a while after the last."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator

from webapp.live.live_view import LiveView

IDLE_VIEWS = 200


class LiveViews:
    """Live views by what they show. A few that nobody looks at stay: who returns gets a difference, not everything."""

    def __init__(self, make: Callable[[Hashable], LiveView]) -> None:
        self._make = make
        self._views: dict[Hashable, LiveView] = {}
        self._pages: Counter[Hashable] = Counter()
        self._idle: OrderedDict[Hashable, None] = OrderedDict()

    def __iter__(self) -> Iterator[LiveView]:
        return iter(self._views.values())

    def open(self, view: Hashable) -> LiveView:
        """Return what shows a view, for one more page, which is to let it go."""
        if view not in self._views:
            self._views[view] = self._make(view)
        self._idle.pop(view, None)
        self._pages[view] += 1
        return self._views[view]

    def add(self, view: Hashable, live: LiveView) -> None:
        """Take in what somebody else has made, and never lets go."""
        self._views[view] = live
        self._pages[view] = 1

    def let_go(self, view: Hashable) -> None:
        """Count one page less; forget what has been idle for longest, if too much is."""
        self._pages[view] -= 1
        if not self._pages[view]:
            del self._pages[view]
            self._idle[view] = None
        while len(self._idle) > IDLE_VIEWS:
            self._views.pop(self._idle.popitem(last=False)[0]).close()
