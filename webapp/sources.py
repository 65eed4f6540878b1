"""What the table shows live: the items of a view; and the fragments that all live views are made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from webapp.changes import Change, ItemState
from webapp.database import Pool, fetch
from webapp.difference import Entry, Partial, Snapshot
from webapp.history import LoggedChange
from webapp.items import FIELDS, Item
from webapp.queries import QUERIES, ordered
from webapp.rendering import Renderer, build
from webapp.views import PAGE_ROWS, View

CACHED_ROWS = 20_000


class ItemList:
    """The items of a view: one page of rows, the number of matches, the pager."""

    def __init__(self, view: View, pool: Pool, pieces: "Pieces") -> None:
        self.view = view
        self._pool = pool
        self._pieces = pieces
        self._needle: str | None = None
        self._query = ordered("view_items", view.column, descending=view.descending)

    async def load(self) -> Snapshot:
        """Read and render what is to be shown now."""
        return self.render(await self.read())

    async def read(self) -> "Listing":
        """Read the page of rows and the count in one statement."""
        if self._needle is None:
            self._needle = await self._fold(self.view.q)
        rows = await fetch(self._pool, self._query, self._parameters())
        matches, page = (rows[0]["matches"], rows[0]["page"]) if rows else (0, 1)
        return Listing(tuple(map(Item.from_row, rows)), matches, page)

    def render(self, listing: "Listing") -> Snapshot:
        """Render a listing; rows that were rendered before are not rendered again."""
        values = {"view": self.view, **listing.values(self.view)}
        pieces = {name: self._pieces.render(f"items/_{name}.html", **values) for name in ("matches", "pager")}
        return Snapshot({"rows": tuple(map(self._pieces.item, listing.items))}, pieces, build())

    def touched_by(self, change: Change, shown: Snapshot | None) -> bool:
        """Compare as the query does: the search text by containment, the rest by value."""
        if change.item_id is None or self._needle is None:
            return True
        before, after = self._matching(change.before), self._matching(change.after)
        if before is None or after is None or shown is None:
            return before is not after
        return self._moves(before, after) or any(entry.id == _row_id(change.item_id) for entry in shown.lists["rows"])

    def highlight(self, entry: Entry, before: Entry | None) -> str:
        """Render a row with the cells marked that changed; all of them in a row that came."""
        return self._pieces.changed_item(entry.value, before.value if before else None)

    def stub(self, entry: Entry) -> str:
        """Render the empty row that stands for an unchanged one."""
        return self._pieces.stub("tr", entry.id)

    def frame(self, partials: Iterable[Partial], revision: str) -> str:
        """Render a frame of the table."""
        return self._pieces.frame(partials, "revision", "items/_revision.html", revision)

    def _parameters(self) -> dict[str, Any]:
        view = self.view
        filters = {"needle": self._needle, "location": view.location, "low": view.low}
        return {**filters, "page": view.page, "page_rows": PAGE_ROWS}

    def _matching(self, state: ItemState | None) -> ItemState | None:
        """Return the state if the view's filter lets it through."""
        if state is None or (self._needle or "") not in state.searchable:
            return None
        if self.view.location and state.location != self.view.location:
            return None
        return state if state.is_low or not self.view.low else None

    def _moves(self, before: ItemState, after: ItemState) -> bool:
        """Whether a change can move the item within the order; the version and the time always do."""
        column = self.view.column
        if column in ("version", "updated_at") or (self._needle and before.searchable != after.searchable):
            return True
        return column != "id" and getattr(before, column) != getattr(after, column)

    async def _fold(self, text: str) -> str:
        return str((await fetch(self._pool, QUERIES["fold"], {"text": text}))[0]["folded"]) if text else ""


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a view: its items in order, how many match in all, and which page it is."""

    items: tuple[Item, ...]
    matches: int
    page: int

    def values(self, view: View) -> dict[str, Any]:
        """Return what the templates show of it beside the rows."""
        empty = not self.matches and not (view.q or view.low or view.location)
        pages = max(1, -(-self.matches // PAGE_ROWS))
        return {"matches": self.matches, "empty": empty, "shown_page": self.page, "pages": pages}


class Pieces:
    """The fragments of live views, each rendered once per content whatever the number of views."""

    def __init__(self, renderer: Renderer) -> None:
        self.render = renderer.render
        self.timezone = renderer.timezone
        self.item = lru_cache(CACHED_ROWS)(self._item)
        self.change = lru_cache(CACHED_ROWS)(self._change)
        self.logged = lru_cache(CACHED_ROWS)(self._logged)
        self.stub = lru_cache(CACHED_ROWS)(self._stub)
        self.beat = lru_cache(1)(self._beat)
        self.waiting = lru_cache(100)(self._waiting)
        self.changed_item = lru_cache(CACHED_ROWS)(self._changed_item)

    def frame(self, partials: Iterable[Partial], revision_id: str, template: str, revision: str) -> str:
        """Render the partials and the one that tells the page which revision it then shows."""
        last = Partial(f"#{revision_id}", "outerHTML", self.render(template, revision=revision))
        return "".join(self.partial(partial) for partial in (*partials, last))

    def partial(self, partial: Partial) -> str:
        """Render one swap; the page's title is no element with an id, htmx takes it as it is."""
        if partial.target == "#title":
            return partial.html
        return self.render("live/partial.html", target=partial.target, swap=partial.swap, html=Markup(partial.html))  # noqa: S704 - ours

    def _item(self, item: Item) -> Entry:
        html = self.render("items/_row.html", item=item, changed=frozenset(), tick="a")
        return Entry(_row_id(item.id), html, item)

    def _changed_item(self, item: Item, before: Item | None) -> str:
        changed = {field for field in FIELDS if before is None or getattr(before, field) != getattr(item, field)}
        return self.render("items/_row.html", item=item, changed=changed, tick="ab"[item.version % 2])

    def _change(self, change: LoggedChange) -> Entry:
        return Entry(f"change-{change.id}", self.render("summary/_change.html", change=change), change)

    def _logged(self, change: LoggedChange) -> Entry:
        html = self.render("activity/_change.html", change=change, names_item=False)
        return Entry(f"change-{change.id}", html, change)

    def _beat(self, now_minutes: int, news: str) -> str:
        """Render the beat; it carries the clock by which the page says how long ago something changed."""
        return self.render("live/beat.html", now_minutes=now_minutes, news=news)

    def _waiting(self, count: int | None) -> str:
        return self.render("live/waiting.html", count=count)

    def _stub(self, tag: str, element_id: str) -> str:
        return self.render("live/stub.html", tag=tag, id=element_id)


def _row_id(item_id: int) -> str:
    return f"item-{item_id}"
