"""The JSON API: what programs do with the stock. Each route reads, acts and answers; `/api` explains it to people."""

from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from webapp.addresses import address
from webapp.api.change_feed import ChangeFeed
from webapp.api.entity_tags import is_one_of, matching, tag_of
from webapp.api.idempotency import Once
from webapp.api.listing import list_items, view_of
from webapp.api.models import (
    ChangePage,
    Counted,
    FeedQuery,
    ItemEdits,
    ItemPage,
    ItemToAdd,
    ListQuery,
    Movement,
    StockItem,
)
from webapp.api.openapi import ApiRoute, IfMatch, IfNoneMatch, answers, describe, item_links, reading
from webapp.api.values import Id, Reason
from webapp.postgres.pool import Source
from webapp.responses import PiecesOfApp, PoolOfApp, html
from webapp.roles import PRINCIPAL
from webapp.stock import inventory
from webapp.stock.items import Author, Item

router = APIRouter(prefix="/api", route_class=ApiRoute, generate_unique_id_function=lambda route: route.name)

OnceOnly = Annotated[Once, Depends()]
FRESH = {"Cache-Control": "no-cache"}
Move = Callable[[Source, int, int, Author], Awaitable[Item]]


@reading(router, "/items", answers(200, "A page of the items.", ItemPage, headers=["Link"], refusals=[410]))
async def get_items(request: Request, query: Annotated[ListQuery, Query()], pool: PoolOfApp) -> Response:
    """List items.

    They are searched, filtered and sorted as on the page. Follow `next` until it is null: whatever is written in
    between, no item that has not changed comes twice or is left out.
    """
    page = await list_items(pool, query, view_of(query))
    if page.next:
        page = page.model_copy(update={"next": address(request, page.next)})
    link = {"Link": f'<{page.next}>; rel="next"'} if page.next else {}
    return Response(page.model_dump_json(), 200, {**FRESH, **link}, "application/json")


@router.post(
    "/items",
    status_code=201,
    responses=answers(201, "The new item.", StockItem, ["ETag", "Location"], [409, 415], item_links()),
)
async def add_item(request: Request, new: ItemToAdd, once: OnceOnly) -> Response:
    """Add an item."""

    async def act(source: Source) -> Response:
        item = await inventory.add_item(source, new.item(), _author(new.reason))
        return _answer(item, 201, {"Location": address(request, f"/api/items/{item.id}")})

    return await once(act)


@reading(router, "/items/{item_id:item}", answers(200, "The item.", StockItem, ["ETag"], [304, 404]))
async def get_item(item_id: Id, pool: PoolOfApp, if_none_match: IfNoneMatch = None) -> Response:
    """Read an item."""
    item = await inventory.find_item(pool, item_id)
    if if_none_match and is_one_of(if_none_match, item):
        return Response(status_code=304, headers={**FRESH, "ETag": tag_of(item)})
    return _answer(item)


@router.patch("/items/{item_id:item}", responses=answers(200, "The item.", StockItem, ["ETag"], [404, 409, 412, 415]))
async def edit_item(item_id: Id, new: ItemEdits, pool: PoolOfApp, if_match: IfMatch = None) -> Response:
    """Set some fields of an item.

    With `If-Match` only if it is the version that you have seen, else whatever it is. To take or put some, use those
    operations: they add up, where two who set a quantity undo each other.
    """
    author = _author(new.reason)
    async with matching(pool, item_id, if_match, author) as source:
        return _answer(await inventory.edit_item(source, item_id, new.edits(), author))


@router.delete(
    "/items/{item_id:item}", status_code=204, responses=answers(204, "It is gone.", refusals=[404, 412], writes=True)
)
async def delete_item(
    item_id: Id, pool: PoolOfApp, if_match: IfMatch = None, reason: Annotated[Reason | None, Query()] = None
) -> Response:
    """Delete an item."""
    author = _author(reason)
    async with matching(pool, item_id, if_match, author) as source:
        await inventory.delete_item(source, item_id, author)
    return Response(status_code=204)


MOVED = answers(200, "The item.", StockItem, ["ETag"], [404, 409, 412, 415])


@router.post("/items/{item_id:item}/take", responses=MOVED)
async def take(item_id: Id, movement: Movement, once: OnceOnly, if_match: IfMatch = None) -> Response:
    """Take some out of stock.

    All or none: where there are less, nothing is taken, and `available` says how many there are.
    """
    return await once(partial(_move, inventory.take, item_id, movement, if_match))


@router.post("/items/{item_id:item}/put", responses=MOVED)
async def put(item_id: Id, movement: Movement, once: OnceOnly, if_match: IfMatch = None) -> Response:
    """Put some into stock."""
    return await once(partial(_move, inventory.put, item_id, movement, if_match))


@router.post("/items/{item_id:item}/count", responses=MOVED)
async def count(item_id: Id, counted: Counted, once: OnceOnly, if_match: IfMatch = None) -> Response:
    """Set the quantity that was counted."""

    async def act(source: Source) -> Response:
        author = _author(counted.reason)
        async with matching(source, item_id, if_match, author) as matched:
            edits = {"quantity": counted.quantity}
            return _answer(await inventory.edit_item(matched, item_id, edits, author))

    return await once(act)


@reading(router, "/changes", answers(200, "The next changes, maybe none.", ChangePage, refusals=[410]))
async def get_changes(query: Annotated[FeedQuery, Query()], request: Request) -> Response:
    """Follow the changes.

    Whatever is committed, by whomever, is told exactly once. Ask without `after` first, then list the items, then ask
    with the `cursor` of each answer; `wait` makes it answer when something happens. What you keep is right if you take
    a change only where its `version` is higher than yours. After a 410 start again.
    """
    feed: ChangeFeed = request.app.state.change_feed
    page = await (feed.read(query.after, query.limit, query.wait) if query.after else feed.start())
    if query.wait and page.changes and not await request.app.state.doorkeeper.may_stay(PRINCIPAL.get()):
        raise HTTPException(401, "You have been signed out meanwhile.", {"WWW-Authenticate": "Bearer"})
    return Response(page.model_dump_json(), 200, FRESH, "application/json")


@router.get("/openapi.json", include_in_schema=False)
@router.head("/openapi.json", include_in_schema=False)
async def get_document(request: Request) -> Response:
    """Describe the API to programs."""
    return JSONResponse(_document(address(request, "")), headers=FRESH)


@router.get("", include_in_schema=False)
@router.head("", include_in_schema=False)
async def get_docs(request: Request, pieces: PiecesOfApp) -> Response:
    """Describe the API to people."""
    base = str(request.base_url).rstrip("/")
    return html(pieces, "api/index.html", document=_document(address(request, "")), base=base)


@cache
def _document(root: str) -> dict[str, Any]:
    return describe(router.routes, root)


async def _move(operation: Move, item_id: int, movement: Movement, if_match: str | None, source: Source) -> Response:
    author = _author(movement.reason)
    async with matching(source, item_id, if_match, author) as matched:
        return _answer(await operation(matched, item_id, movement.by, author))


def _author(reason: str | None) -> Author:
    return Author(source="api", reason=reason)


def _answer(item: Item, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    headers = {**FRESH, "ETag": tag_of(item), **(headers or {})}
    return Response(StockItem.of(item).model_dump_json(), status, headers, "application/json")
