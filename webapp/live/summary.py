"""The summary that is the same for every page: totals, the latest changes, and what other programs said."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count

from webapp.live.changes import Changes, Touch
from webapp.live.difference import Entry, Partial, Snapshot
from webapp.live.feed import is_of_a_change
from webapp.live.pieces import Pieces
from webapp.live.tallies import Tallies
from webapp.live.tally import Figures
from webapp.rendering import build
from webapp.stock.history import History, LoggedChange
from webapp.stock.views import ALL_ITEMS

LATEST_CHANGES = 20
_FIGURES = ("title", "totals")


class Summary:
    """The totals of the whole inventory, the latest changes, and what other programs said on the channel."""

    def __init__(self, tallies: Tallies, history: History, pieces: Pieces) -> None:
        self._tallies = tallies
        self._history = history
        self._pieces = pieces
        self._notices: deque[Notice] = deque(maxlen=LATEST_CHANGES)
        self._numbers = count(1)
        self._notice = lru_cache(LATEST_CHANGES)(self._render_notice)  # nobody may be looking at what is said

    def hear(self, payload: str) -> bool:
        """Keep a payload that is not of a change, which the activity shows; return whether it was kept."""
        if is_of_a_change(payload):
            return False
        self._notices.appendleft(Notice(next(self._numbers), payload, datetime.now(UTC)))
        return True

    async def load(self, touch: Touch) -> Snapshot:  # noqa: ARG002
        """Read and render what is to be shown now."""
        return self.render(await self.read())

    async def read(self, *, certain: bool = True) -> "Overview":
        """Read totals and the latest changes; `certain`: see `Tallies.figures`."""
        totals = await self._tallies.figures(await self._tallies.of(ALL_ITEMS), certain=certain)
        return Overview(totals, await self._history.latest(LATEST_CHANGES))

    def render(self, overview: "Overview") -> Snapshot:
        """Render an overview; the notices are this process's own and not in the database."""
        lists = {
            "activity": tuple(map(self._pieces.change, overview.changes)),
            "notices": tuple(map(self._notice, self._notices)),
        }
        title, totals = (self._pieces.figures(f"summary/_{name}.html", totals=overview.totals) for name in _FIGURES)
        return Snapshot(lists, {"title": title, "totals": totals}, build())

    def touched_by(self, changes: Changes) -> Touch:  # noqa: ARG002
        """Every change is told."""
        return Touch.ALL

    def highlight(self, entry: Entry, before: Entry | None) -> str:  # noqa: ARG002
        """Render an entry of a list; an entry that comes needs no mark of its own."""
        return entry.html

    def stub(self, entry: Entry) -> str:
        """Render the empty list entry that stands for an unchanged one."""
        return self._pieces.stub("li", entry.id)

    def frame(self, partials: Iterable[Partial], revision: str) -> str:
        """Render a frame of the summary."""
        return self._pieces.frame(partials, "summary-revision", "summary/_revision.html", revision)

    def _render_notice(self, notice: "Notice") -> Entry:
        return Entry(f"notice-{notice.number}", self._pieces.render("summary/_notice.html", notice=notice), notice)


@dataclass(frozen=True, slots=True)
class Overview:
    """What the summary shows: the totals, and the latest changes, newest first."""

    totals: Figures
    changes: tuple[LoggedChange, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """What some program said on the channel: hostile text."""

    number: int
    text: str
    at: datetime
