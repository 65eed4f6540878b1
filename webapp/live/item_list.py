"""What the table shows live: the items of a view, one page of them."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import psycopg

from webapp.live.changes import Changes, Touch
from webapp.live.difference import Entry, Partial, Snapshot
from webapp.live.finder import Finder
from webapp.live.pieces import Pieces
from webapp.live.tallies import Tallies
from webapp.live.tally import Tally
from webapp.live.window import Move, Order, Stretch, Window
from webapp.postgres.pool import Pool, fetch
from webapp.postgres.queries import ordered
from webapp.rendering import build
from webapp.stock.items import Item
from webapp.stock.views import ALL_ITEMS, PAGE_ROWS, View
from webapp.text import first_line

MARGIN_ROWS = 50  # so many rows are kept before and after a page, to move in when others leave

logger = logging.getLogger(__name__)


class ItemList:
    """The items of a view: one page of rows, the number of matches, the pager.

    What it reads beside, while pages are told of changes, is read within a `turn_beside`.
    """

    def __init__(
        self,
        view: View,
        pool: Pool,
        tallies: Tallies,
        pieces: Pieces,
        turn_beside: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
    ) -> None:
        self.view = view
        self._pool = pool
        self._tallies = tallies
        self._pieces = pieces
        self._finder = Finder(view, pool)
        self._turn_beside = turn_beside
        self._tally: Tally | None = None
        self.listing: Listing | None = None
        self._window: Window | None = None
        self._items: dict[int, Item] = {}  # of the page, as far as they have not changed since
        self._entries: dict[Item, Entry] = {}
        self._refilling: asyncio.Task[None] | None = None
        self._moves_meanwhile: list[Move] = []

    async def load(self, touch: Touch) -> Snapshot:
        """Read, as far as it is needed, and render what is to be shown now."""
        known = await self._renewed(self._window) if self._window and touch is not Touch.ALL else None
        self.listing = known or await self.read(margin=MARGIN_ROWS)
        if self._refilling is None and self._is_short():
            self._refilling = asyncio.create_task(self._refill(), context=Context())
        return self.render(self.listing)

    async def read(self, *, margin: int = 0, certain: bool = True) -> "Listing":
        """Read the page of rows and a margin around it, after their number; `certain`: see `Tallies.figures`."""
        matches = (await self._tallies.figures(await self._find_tally(), certain=certain)).items
        self._window, rows = await self._look(matches, margin)
        self._items = {row["id"]: Item.from_row(row) for row in rows}
        return self._list(self._ids(self._window, matches) if self._window else None, matches)

    def render(self, listing: "Listing") -> Snapshot:
        """Render a listing; rows that were rendered before are not rendered again."""
        values = {"view": self.view, **listing.values(self.view)}
        pieces = {name: self._pieces.figures(f"items/_{name}.html", **values) for name in ("matches", "pager")}
        self._entries = {item: self._entries.get(item) or self._pieces.item(item) for item in listing.items}
        return Snapshot({"rows": tuple(self._entries.values())}, pieces, build())

    def touched_by(self, changes: Changes) -> Touch:
        """Forget what changed, and say whether the page lacks something now, or shows what it should not."""
        if self._tally is None or self.listing is None:
            return Touch.ALL
        moves = self._tally.moves(changes, self._order(self._tally))
        altered = self._items.keys() & moves.item_ids
        if not (altered or moves.moves):
            return Touch.NOTHING
        for item_id in altered:
            del self._items[item_id]
        if self._window is None or self._tally.figures is None:
            return Touch.ALL
        self._window.hear(moves.moves)
        if self._refilling:
            self._moves_meanwhile.extend(moves.moves)
        matches = self._tally.figures.items
        ids = self._ids(self._window, matches)
        if ids is None:
            return Touch.ALL
        is_shown = matches == self.listing.matches and not self._window.unplaced
        is_shown &= [self._items.get(item_id) for item_id in ids] == list(self.listing.items)
        return Touch.NOTHING if is_shown else Touch.SOME

    def highlight(self, entry: Entry, before: Entry | None) -> str:
        """Render a row with the cells marked that changed; all of them in a row that came."""
        return self._pieces.changed_item(entry.value, before.value if before else None)

    def stub(self, entry: Entry) -> str:
        """Render the empty row that stands for an unchanged one."""
        return self._pieces.stub("tr", entry.id)

    def frame(self, partials: Iterable[Partial], revision: str) -> str:
        """Render a frame of the table."""
        return self._pieces.frame(partials, "revision", "items/_revision.html", revision)

    async def _renewed(self, window: Window) -> "Listing | None":
        """Read what is not known of the page; None: it must be read anew."""
        if window.unplaced:
            window.place(await self._fetch(window.unplaced))
        tally = await self._find_tally()
        matches = (tally.figures or await self._tallies.figures(tally)).items
        ids = self._ids(window, matches)
        if ids is None:
            return None
        if missing := [item_id for item_id in ids if item_id not in self._items]:
            await self._fetch(missing)
        return self._list(ids, matches)

    def _is_short(self) -> bool:
        """Whether a few more changes move in what is not known, or it is long ago that the matches were counted."""
        if self._window is None or self._tally is None or self._tally.figures is None or self.listing is None:
            return False
        start, matches = (self.listing.page - 1) * PAGE_ROWS, self.listing.matches
        return self._tallies.is_due(self._tally) or self._window.margin(start, PAGE_ROWS, matches) < MARGIN_ROWS // 2

    async def _refill(self) -> None:
        """Look anew beside: among a million items it takes longer than a page should wait for a change."""
        window, self._moves_meanwhile = self._window, []
        try:
            async with self._turn_beside():
                figures = await self._tallies.figures(await self._find_tally())
                fresh, _ = await self._look(figures.items, MARGIN_ROWS)
            if fresh and self._window is window:
                fresh.hear(self._moves_meanwhile)
                self._window = fresh
        except (psycopg.Error, OSError) as error:
            logger.warning("a view is read anew when it changes: %s", first_line(error))
        finally:
            self._refilling = None

    async def _look(self, matches: int, margin: int) -> tuple[Window | None, list[dict[str, Any]]]:
        """Read the rows of the page and a margin around it, and make a window of them if there are any."""
        tally = await self._find_tally()
        stretch = Stretch.around(self._page(matches), matches, PAGE_ROWS, margin)
        among_known = tally.ids is not None
        rows = await self._finder.find(stretch, tally, matches, self._tallies.items)
        return Window(self._order(tally), stretch, rows, among_known=among_known) if rows else None, rows

    def _list(self, ids: Collection[int] | None, matches: int) -> "Listing":
        """List what is known of items; those that are not there any more will be told soon."""
        items = tuple(self._items[item_id] for item_id in ids or () if item_id in self._items)
        self._items = {item.id: item for item in items}
        return Listing(items, matches, self._page(matches))

    async def _fetch(self, ids: Collection[int]) -> list[dict[str, Any]]:
        """Read items wherever they are in the list."""
        query = ordered("items_by_ids", self.view.column, descending=self.view.descending)
        tally = await self._find_tally()
        rows = await fetch(self._pool, query, {"ids": list(ids), "needle": tally.matcher.needle})
        self._items |= {row["id"]: Item.from_row(row) for row in rows}
        return rows

    def _ids(self, window: Window, matches: int) -> list[int] | None:
        return window.page((self._page(matches) - 1) * PAGE_ROWS, PAGE_ROWS, matches, MARGIN_ROWS)

    def _page(self, matches: int) -> int:
        """Return which page is shown for one beyond the end: the last."""
        return min(self.view.page, count_pages(matches))

    def _order(self, tally: Tally) -> Order:
        return Order(self.view.column, self.view.descending, tally.matcher.needle)

    async def _find_tally(self) -> Tally:
        if self._tally is None:
            self._tally = await self._tallies.of(self.view.filter)
        return self._tally


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a view: its items in order, how many match in all, and which page it is."""

    items: tuple[Item, ...]
    matches: int
    page: int

    def values(self, view: View) -> dict[str, Any]:
        """Return what the templates show of it beside the rows."""
        empty = not self.matches and view.filter == ALL_ITEMS
        return {"matches": self.matches, "empty": empty, "shown_page": self.page, "pages": count_pages(self.matches)}


def count_pages(matches: int) -> int:
    """Return how many pages there are; the first one is there even when nothing matches."""
    return max(1, -(-matches // PAGE_ROWS))
