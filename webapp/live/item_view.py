"""What an item's page shows live: the item or what it was last, its quantity over time, and its history."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webapp.live.changes import Changes, Touch
from webapp.live.difference import Entry, Partial, Snapshot
from webapp.live.pieces import Pieces
from webapp.postgres.pool import Pool
from webapp.postgres.statements import read
from webapp.rendering import build
from webapp.stock.charts import Level, step_chart
from webapp.stock.cover import Consumption, Cover
from webapp.stock.history import History, LoggedChange
from webapp.stock.items import MAX_ID, Item
from webapp.text import whole_number

HISTORY_ROWS = 50
FACTS = ("quantity", "cover", "reorder_level", "location", "code", "updated_at")
_ELEMENTS = ("title", "head", "chart", "older")


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item, and from where on its history is shown: before a change, None: the newest."""

    item_id: int
    before: int | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "ItemView":
        """Read a query string; what is no id names no item."""
        item_id = whole_number(query.get("item", ""), MAX_ID)
        return cls(item_id or 0, whole_number(query.get("before", ""), MAX_ID) or None)

    @property
    def query(self) -> str:
        """The query string by which a socket follows it."""
        return f"item={self.item_id}" + (f"&before={self.before}" if self.before else "")

    @property
    def url(self) -> str:
        """The page's address."""
        return f"/items/{self.item_id}" + (f"?before={self.before}" if self.before else "")


@dataclass(frozen=True, slots=True)
class ItemStory:
    """All that an item's page tells. `item` is what it was last if `is_gone`, None if it never was."""

    item: Item | None
    is_gone: bool
    changes: tuple[LoggedChange, ...]
    older: ItemView | None
    levels: tuple[Level, ...]
    recent: Consumption

    @property
    def deletion(self) -> int | None:
        """The change that can be taken back to bring a deleted item back."""
        newest = self.changes[0] if self.changes else None
        return newest.id if newest and newest.operation == "delete" and newest.can_undo else None


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing to know of an item."""

    name: str
    value: object
    item: Item


class ItemPage:
    """The source of one item's page."""

    def __init__(self, view: ItemView, pool: Pool, pieces: Pieces, history: History) -> None:
        self.view = view
        self._pool = pool
        self._pieces = pieces
        self._history = history

    async def load(self, touch: Touch) -> Snapshot:  # noqa: ARG002
        """Read and render what is to be shown now."""
        return self.render(await self.read())

    async def read(self) -> ItemStory:
        """Read the item and what happened to it."""
        rows = await read(self._pool, "item_or_last_state", id=self.view.item_id)
        changes = await self._history.of_item(self.view.item_id, self.view.before, HISTORY_ROWS + 1)
        has_older = len(changes) > HISTORY_ROWS
        return ItemStory(
            item=Item.from_row(rows[0]) if rows else None,
            is_gone=not rows or rows[0]["is_gone"],
            changes=changes[:HISTORY_ROWS],
            older=ItemView(self.view.item_id, changes[HISTORY_ROWS - 1].id) if has_older else None,
            levels=await self._history.levels(self.view.item_id),
            recent=await self._history.consumption(self.view.item_id),
        )

    def render(self, story: ItemStory) -> Snapshot:
        """Render a story."""
        item = story.item
        facts = self._facts(item, story) if item else ()
        level = item.reorder_level if item else None
        chart = step_chart(story.levels, level, datetime.now(UTC), self._pieces.timezone)
        values = {"view": self.view, "story": story, "item": item, "chart": chart}
        elements = {f"item-{name}": self._pieces.render(f"item/_{name}.html", **values) for name in _ELEMENTS}
        elements["title"] = elements.pop("item-title")
        return Snapshot({"facts": facts, "history": tuple(map(self._pieces.logged, story.changes))}, elements, build())

    def touched_by(self, changes: Changes) -> Touch:
        """Whether one is a change of this item, or the one that removed all."""
        return Touch.NOTHING if changes.item_ids.isdisjoint((self.view.item_id, None)) else Touch.ALL

    def highlight(self, entry: Entry, before: Entry | None) -> str:
        """Render a fact with a mark if it changed; a change that came needs no mark of its own."""
        if isinstance(entry.value, Fact) and before and isinstance(before.value, Fact):
            return self._fact(entry.value, is_changed=entry.value.value != before.value.value)
        return entry.html

    def stub(self, entry: Entry) -> str:
        """Render the empty element that stands for an unchanged one."""
        return self._pieces.stub("div" if isinstance(entry.value, Fact) else "li", entry.id)

    def frame(self, partials: Iterable[Partial], revision: str) -> str:
        """Render a frame of the item's page."""
        return self._pieces.frame(partials, "revision", "items/_revision.html", revision)

    def _facts(self, item: Item, story: ItemStory) -> tuple[Entry, ...]:
        cover = None if story.is_gone else Cover.of(item.quantity, item.reorder_level, story.recent)
        values: dict[str, Any] = {
            **{name: getattr(item, name) for name in FACTS if name != "cover"},
            "quantity": (item.quantity, item.unit, story.is_gone),
            "cover": cover,
            "reorder_level": (item.reorder_level, cover and cover.days_to_reorder, cover is not None and item.is_low),
        }
        facts = (Fact(name, values[name], item) for name in FACTS)
        return tuple(Entry(f"fact-{fact.name}", self._fact(fact), fact) for fact in facts)

    def _fact(self, fact: Fact, *, is_changed: bool = False) -> str:
        tick = "ab"[fact.item.version % 2]
        return self._pieces.render("item/_fact.html", fact=fact, item=fact.item, is_changed=is_changed, tick=tick)
