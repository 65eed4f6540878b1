"""The list of items for programs: pages by the last item's place, so that no write in between moves them."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import psycopg

from webapp.api.cursors import read_cursor, unusable, write_cursor
from webapp.api.models import ItemPage, ListQuery, StockItem
from webapp.live.matching import Matcher
from webapp.postgres.pool import Pool, fetch
from webapp.postgres.queries import may_be_missing, ordered
from webapp.problems import of_kind
from webapp.stock.items import MAX_ID, Item
from webapp.stock.views import View


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands in a list: `is_exact` comes first, then `key`, None last, then `id`."""

    is_exact: bool
    key: str | None
    id: int

    @classmethod
    def read(cls, cursor: str, view: View) -> Self:
        """Read a cursor. Raises a `Problem` if it is none, or one of another list."""
        is_exact, key, item_id, digest = read_cursor(cursor, 4)
        if digest != _digest(view):
            raise unusable("This cursor goes on in a list with another search, order or filter.")
        if not (type(item_id) is int and 0 < item_id <= MAX_ID and isinstance(key, str | None)):
            raise unusable("This is no cursor of ours.")
        return cls(is_exact is True, key, item_id)

    def cursor(self, view: View) -> str:
        """Return the place as a cursor."""
        return write_cursor(self.is_exact, self.key, self.id, _digest(view))

    def start(self, column: str) -> str:
        """Return the name of the query that says what comes after the place."""
        if self.is_exact:
            return "after_the_exact"
        if self.key is None:
            return "after_a_gap"
        return "after_a_value" if may_be_missing(column) else "after_a_value_of_all"


async def list_items(pool: Pool, query: ListQuery, view: View) -> ItemPage:
    """Return a page of a view's items. Raises a `Problem` for a cursor from which nothing goes on."""
    place = Place.read(query.cursor, view) if query.cursor else None
    rows = await _rows(pool, view, place, query.limit + 1)
    items = tuple(StockItem.of(Item.from_row(row)) for row in rows[: query.limit])
    has_more = len(rows) > query.limit
    return ItemPage(items=items, next=_address(view, query.limit, rows[query.limit - 1]) if has_more else None)


async def _rows(pool: Pool, view: View, place: Place | None, limit: int) -> list[dict[str, Any]]:
    matcher = await Matcher.of(view.filter, pool)
    start = place.start(view.column) if place else "from_the_start"
    statement = ordered("list_items", view.column, descending=view.descending, start=start)
    after = {"key": place.key, "id": place.id} if place else {}
    try:
        return await fetch(pool, statement, {**matcher.parameters, **after, "limit": limit})
    except (psycopg.DataError, UnicodeEncodeError) as error:
        # a key that this column cannot have: somebody has made the cursor up
        raise unusable("This is no cursor of ours.") from error


def _address(view: View, limit: int, last: Mapping[str, Any]) -> str:
    cursor = Place(last["is_exact"], last["key"], last["id"]).cursor(view)
    return "/api/items?" + "&".join(part for part in (view.query, f"limit={limit}", f"cursor={cursor}") if part)


def view_of(query: ListQuery) -> View:
    """Return the page's view with the same parameters. Raises a `Problem` where the page would fall back."""
    view, complaints = View.parse({"q": query.q, "sort": query.sort, "low": query.low, "location": query.location})
    if complaints:
        raise of_kind("invalid", " ".join(complaints))
    return view


def _digest(view: View) -> str:
    return blake2b(view.query.encode(), digest_size=6).hexdigest()
