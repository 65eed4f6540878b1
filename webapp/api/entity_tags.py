"""Entity tags (RFC 9110): an item's version in quotes, compared with what a program has seen of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from webapp.api.models import StockItem
from webapp.postgres.pool import Source
from webapp.problems import of_kind
from webapp.stock import inventory
from webapp.stock.items import Author, Item


def tag_of(item: Item) -> str:
    """Return the item's entity tag."""
    return f'"{item.version}"'


def is_one_of(tags: str, item: Item) -> bool:
    """Whether the item is one of those that If-None-Match names, where a weak tag is as good."""
    return _names(tags.replace("W/", ""), item)


@asynccontextmanager
async def matching(source: Source, item_id: int, if_match: str | None, author: Author) -> AsyncIterator[Source]:
    """Give a transaction in which the item is one that If-Match names; without that, what there is.

    Raises a `Problem`, or `NoSuchItem`.
    """
    if if_match is None:
        yield source
        return
    async with inventory.writing(source, author) as connection:
        item = await inventory.lock_item(connection, item_id)
        if not _names(if_match, item):
            text = f"The item is at version {item.version} now; `current` is what it is."
            facts = {"current": StockItem.of(item).model_dump(mode="json")}
            raise of_kind("changed-meanwhile", text, facts, ETag=tag_of(item))
        yield connection


def _names(tags: str, item: Item) -> bool:
    return not {"*", tag_of(item)}.isdisjoint(tag.strip() for tag in tags.split(","))
