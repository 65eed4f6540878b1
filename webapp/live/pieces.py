"""The fragments that live views and pages are made of, each rendered once per content whatever the number of views."""

from collections.abc import Iterable
from functools import cache, lru_cache

from webapp.live.difference import Entry, Partial
from webapp.rendering import Renderer
from webapp.sockets.client import Frames
from webapp.stock.history import LoggedChange
from webapp.stock.items import FIELDS, Item

CACHED_ROWS = 1_000  # a view keeps those that it shows; here others find them, and who opens a page
CACHED_CHANGES = 1_000
CACHED_FIGURES = 2_000  # their numbers of matches and pagers


class Pieces:
    """Renders fragments, and remembers the latest of each kind."""

    def __init__(self, renderer: Renderer) -> None:
        self.render = renderer.render
        self.timezone = renderer.timezone
        self.item = lru_cache(CACHED_ROWS)(self._item)
        self.figures = lru_cache(CACHED_FIGURES)(renderer.render)
        self.change = lru_cache(CACHED_CHANGES)(self._change)
        self.logged = lru_cache(CACHED_CHANGES)(self._logged)
        self.stub = lru_cache(CACHED_ROWS)(self._stub)
        self.beat = lru_cache(1)(self._beat)
        self.waiting = lru_cache(100)(self._waiting)
        self.version = lru_cache(2)(self._version)
        self.signed_out = cache(self._signed_out)
        self.changed_item = lru_cache(CACHED_ROWS)(self._changed_item)

    def frame(self, partials: Iterable[Partial], revision_id: str, template: str, revision: str) -> str:
        """Render the partials and the one that tells the page which revision it then shows."""
        last = Partial(f"#{revision_id}", "outerHTML", self.render(template, revision=revision))
        return self.render("live/frame.html", partials=(*partials, last))

    def _item(self, item: Item) -> Entry:
        html = self.render("items/_row.html", item=item, changed=frozenset(), tick="a")
        return Entry(f"item-{item.id}", html, item)

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

    def _version(self, *, is_old: bool) -> str:
        return self.render("live/version.html", is_old=is_old)

    def _signed_out(self) -> Frames:
        """Render what a page is told when whoever looked at it may not any more; one for all, as each keeps it."""
        return Frames.of(self.render("live/signed_out.html"))

    def _stub(self, tag: str, element_id: str) -> str:
        return self.render("live/stub.html", tag=tag, id=element_id)
