"""All live views of this process: what the change feed says goes to the views it touches, and beats to the sure."""

import asyncio
import time
from collections.abc import Hashable, Iterator

from webapp.live.broadcast import Broadcast
from webapp.live.changes import Changes, Event, Heard, Resync
from webapp.live.difference import Snapshot
from webapp.live.item_list import ItemList, Listing
from webapp.live.item_view import ItemPage, ItemView
from webapp.live.listener import Listener
from webapp.live.live_view import CERTAIN_FOR_S, LiveView
from webapp.live.live_views import LiveViews
from webapp.live.news import News
from webapp.live.page import Page
from webapp.live.pieces import Pieces
from webapp.live.receipts import Receipts
from webapp.live.snapshots import Source
from webapp.live.summary import Summary
from webapp.live.tallies import Tallies
from webapp.live.turns import Turns
from webapp.postgres.pool import Pool
from webapp.rendering import now_minutes
from webapp.sockets.payloads import PayloadLog
from webapp.stock.history import History
from webapp.stock.views import View

BEAT_S = 1.5
SLICE_S = 0.01  # for so long many changes and views keep everything else waiting
CATCH_UP_S = 0.25  # a page waits no longer for the change feed, and has the database count


class Hub:
    """Keeps the live views and the pages; feeds them from the listener."""

    def __init__(self, pool: Pool, listener: Listener, pieces: Pieces) -> None:
        self._pool = pool
        self.listener = listener
        self._pieces = pieces
        self._pages: dict[Page, None] = {}  # in order of joining
        self._news = News()
        self._beat = pieces.beat(now_minutes(), "")
        self.beats = self.changes = self.resyncs = 0
        self.broadcast = Broadcast()
        self.payloads = PayloadLog(self.broadcast)
        self.receipts = Receipts(pool, pieces)
        self.history = History(pool)
        self.tallies = Tallies(pool)
        self.summary_source = Summary(self.tallies, self.history, pieces)
        self.turns = Turns(pool.max_size)
        self._summary = self._live_view(self.summary_source)
        self._views = LiveViews(lambda view: self._live_view(self._source(view)))

    async def follow(self) -> None:
        """Hand on what the listener hears, for ever."""
        async for event in self.listener.events():
            await self.handle(event)

    async def handle(self, event: Event) -> None:
        """Hand one event to the tallies and the views."""
        match event:
            case Heard(payloads):
                for payload in payloads:
                    self._handle_payload(payload)
            case Changes():
                self.changes += len(event.changes)
                self._news.hear(event.changes)
                await self._hand_on(event)
                self.receipts.choose(event, self._pages)
            case Resync():
                self.resyncs += 1
                for tally in self.tallies:
                    tally.make_void()
                for view in self._all_views():
                    view.touch()

    async def _hand_on(self, changes: Changes) -> None:
        """In slices: whoever comes in between finds what is true already, or is told soon."""
        ends_at = time.monotonic() + SLICE_S
        for listening in (*self.tallies, *self._all_views()):
            listening.hear(changes)
            if time.monotonic() > ends_at:
                await asyncio.sleep(0)
                ends_at = time.monotonic() + SLICE_S

    async def catch_up(self) -> bool:
        """Wait until all that is committed now has been told; return whether the change feed managed it in time."""
        return self.is_certain() and await self.listener.catch_up(CATCH_UP_S)

    async def beat(self) -> None:
        """Tell the pages regularly that they are live, as long as the change feed is sure of it."""
        while True:
            await asyncio.sleep(BEAT_S)
            self._beat = self._pieces.beat(now_minutes(), self._news.take())
            self.beats += 1
            self.broadcast.wake(self._pages)

    def is_certain(self) -> bool:
        """Whether the change feed was read successfully a moment ago."""
        return self.listener.is_certain(CERTAIN_FOR_S)

    @property
    def lag_s(self) -> float:
        """How far the change feed may be behind, see `Listener.lag_s`."""
        return self.listener.lag_s

    @property
    def open_pages(self) -> int:
        """How many pages are connected."""
        return len(self._pages)

    def count_views(self) -> tuple[int, int]:
        """Count the views that somebody looks at, and those that are kept for those who return."""
        views = list(self._all_views())
        watched = sum(1 for view in views if view.watchers)
        return watched, len(views) - watched

    def add_view(self, view: Hashable, source: Source) -> LiveView:
        """Keep a view of something else than the inventory: it waits for no turn, and the caller touches it."""
        live = LiveView(source, self.broadcast.wake)
        self._views.add(view, live)
        return live

    def open_page(self, view: Hashable) -> Page:
        """Let a page look at a view until it is lost; only a list of items comes with the summary."""
        live = self._views.open(view)
        page = Page(self.broadcast, self, view, (live, self._summary) if isinstance(view, View) else (live,))
        self._pages[page] = None
        return page

    async def look(self, view: View, *, certain: bool) -> tuple[Listing, Snapshot]:
        """Read a view for a page that opens; `certain`: see `Tallies.figures`.

        Its socket, which comes soon, finds what was read, and kept from the feed since.
        """
        live = self._views.open(view)
        try:
            if certain and (shown := await live.look()) and isinstance(live.source, ItemList) and live.source.listing:
                return live.source.listing, shown
        finally:
            self._views.let_go(view)
        source = self.item_list(view)
        listing = await source.read(certain=certain)
        return listing, source.render(listing)

    def leave(self, page: Page) -> None:
        """Forget a page."""
        self._pages.pop(page, None)
        self._views.let_go(page.view)

    def beat_text(self) -> str:
        """Return the beat, one string for all pages, if the change feed is sure of what it told."""
        return self._beat if self.is_certain() else ""

    def waiting_text(self, count: int | None) -> str:
        """Tell a page that is held how many changes wait for it."""
        return self._pieces.waiting(count)

    def version_text(self, *, is_old: bool) -> str:
        """Tell a page that there is a new version of it, or take that back."""
        return self._pieces.version(is_old=is_old)

    def close(self) -> None:
        """Stop all refreshes."""
        for view in self._all_views():
            view.close()

    def _handle_payload(self, payload: str) -> None:
        if self.summary_source.hear(payload):
            self._summary.touch()
        self.payloads.add(payload)

    def _all_views(self) -> Iterator[LiveView]:
        yield self._summary  # first, as every page waits for it
        yield from self._views

    def _live_view(self, source: Source) -> LiveView:
        return LiveView(source, self.broadcast.wake, self.turns.take, self.catch_up)

    def _source(self, view: Hashable) -> Source:
        match view:
            case View():
                return self.item_list(view)
            case ItemView():
                return ItemPage(view, self._pool, self._pieces, self.history)
        raise TypeError(f"nothing shows {view!r}")

    def item_list(self, view: View) -> ItemList:
        """Return the source of a view's items."""
        return ItemList(view, self._pool, self.tallies, self._pieces, self.turns.take_beside)
