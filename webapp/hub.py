"""All live views of this process: what the change feed says goes to the views it touches, and beats to the sure."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from webapp.changes import Changes, Event, Heard, Resync
from webapp.database import Pool
from webapp.history import History
from webapp.item_view import ItemPage, ItemView
from webapp.listener import Listener
from webapp.live import CERTAIN_FOR_S, LiveView, Source
from webapp.news import News
from webapp.page import Page
from webapp.rendering import now_minutes
from webapp.sources import ItemList, Pieces
from webapp.summary import Summary
from webapp.views import View

logger = logging.getLogger(__name__)

BEAT_S = 1.5
IDLE_VIEWS = 200
COMPARED_CHANGES = 500  # beyond that, comparing them with every view takes longer than a needless query


class Hub:
    """Keeps the live views and the pages; feeds them from the listener."""

    def __init__(self, pool: Pool, listener: Listener, pieces: Pieces) -> None:
        self._pool = pool
        self._listener = listener
        self._pieces = pieces
        self._items: OrderedDict[View | ItemView, LiveView] = OrderedDict()
        self._pages: set[Page] = set()
        self._news = News()
        self._sentence = ""
        self._raw: set[asyncio.Queue[str | None]] = set()
        self.history = History(pool)
        self.summary_source = Summary(pool, self.history, pieces)
        self._summary = LiveView(self.summary_source)

    async def follow(self) -> None:
        """Hand on what the listener hears, for ever."""
        async for event in self._listener.events():
            self.handle(event)

    def handle(self, event: Event) -> None:
        """Hand one event to the views that it can touch."""
        match event:
            case Heard(payload):
                self._handle_payload(payload)
            case Changes(changes) if len(changes) <= COMPARED_CHANGES:
                self._news.hear(changes)
                for view in self._views():
                    view.hear(changes)
            case Changes() | Resync():
                for view in self._views():
                    view.touch()

    async def beat(self) -> None:
        """Tell the pages regularly that they are live, as long as the change feed is sure of it."""
        while True:
            await asyncio.sleep(BEAT_S)
            self._sentence = self._news.take()
            for page in list(self._pages):
                page.beat()

    def is_certain(self) -> bool:
        """Whether the change feed was read successfully a moment ago."""
        return self._listener.is_certain(CERTAIN_FOR_S)

    @contextmanager
    def open_page(self, view: View | ItemView) -> Iterator[Page]:
        """Let a page follow a view while the context lasts; the page of an item has no summary."""
        summary = None if isinstance(view, ItemView) else self._summary
        page = Page(self._live(view), summary, self._beat_frame, self._pieces.waiting)
        self._pages.add(page)
        try:
            yield page
        finally:
            self._pages.discard(page)
            page.leave()
            self._forget_idle_views()

    @contextmanager
    def raw_payloads(self, limit: int) -> Iterator[asyncio.Queue[str | None]]:
        """Give the raw payloads from now on; at most `limit` wait, then None says that the reader was too slow."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(limit + 1)
        self._raw.add(queue)
        try:
            yield queue
        finally:
            self._raw.discard(queue)

    def close(self) -> None:
        """Stop all refreshes."""
        for view in self._views():
            view.close()

    def _handle_payload(self, payload: str) -> None:
        if self.summary_source.hear(payload):
            self._summary.touch()
        for queue in list(self._raw):
            if queue.qsize() >= queue.maxsize - 1:
                self._raw.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(payload)

    def _views(self) -> Iterator[LiveView]:
        yield from self._items.values()
        yield self._summary

    def _live(self, view: View | ItemView) -> LiveView:
        if view not in self._items:
            self._items[view] = LiveView(self._source(view))
        self._items.move_to_end(view)
        return self._items[view]

    def _source(self, view: View | ItemView) -> Source:
        if isinstance(view, ItemView):
            return ItemPage(view, self._pool, self._pieces, self.history)
        return ItemList(view, self._pool, self._pieces)

    def _forget_idle_views(self) -> None:
        """Keep a few views that nobody looks at: who returns gets a difference instead of everything."""
        followed = {live for page in self._pages for live in page.views}
        idle = [view for view, live in self._items.items() if live not in followed]
        for view in idle[: max(0, len(idle) - IDLE_VIEWS)]:
            self._items.pop(view).close()

    def _beat_frame(self) -> str | None:
        """Return the beat, one string for all pages, if the change feed is sure of what it told."""
        return self._pieces.beat(now_minutes(), self._sentence) if self.is_certain() else None
