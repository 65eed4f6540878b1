"""The page of one item, and the list of what should be ordered."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.exceptions import HTTPException

from webapp.errors import wants_fragment
from webapp.live.item_view import ItemPage, ItemView
from webapp.postgres.pool import Pool
from webapp.postgres.statements import read
from webapp.responses import READ, PiecesOfApp, PoolOfApp, html, joined
from webapp.socket import HubOfApp
from webapp.stock.cover import RECENT_CHANGES, RECENT_DAYS, Consumption, Cover
from webapp.stock.items import Item

router = APIRouter(default_response_class=HTMLResponse)

LISTED_ITEMS = 1_000
LISTED_CHANGES = 500  # of each item; reading all of a busy one for every line would take long


@router.api_route("/items/{item_id:item}", methods=READ)
async def show_item(request: Request, item_id: int, pool: PoolOfApp, pieces: PiecesOfApp, hub: HubOfApp) -> Response:
    """Show an item, also a deleted one: its history is still here, and brings it back."""
    view = ItemView.parse({**request.query_params, "item": str(item_id)})
    source = ItemPage(view, pool, pieces, hub.history)
    story = await source.read()
    if story.item is None:
        raise HTTPException(404)
    shown = source.render(story)
    values: dict[str, Any] = {"view": view, "item": story.item, "story": story, "revision": shown.revision}
    values |= {name: joined(entries) for name, entries in shown.lists.items()}
    values |= {name.removeprefix("item-"): Markup(piece) for name, piece in shown.elements.items()}  # noqa: S704 - ours
    template = "item/_view.html" if wants_fragment(request) else "item/index.html"
    return html(pieces, template, **values)


@router.api_route("/low", methods=READ)
async def list_low_items(pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """List the items at or below their reorder level, to order from."""
    items = await _low_items(pool)
    return html(pieces, "low/index.html", items=items, most=LISTED_ITEMS, as_of=datetime.now(UTC))


async def _low_items(pool: Pool) -> list[tuple[Item, Cover]]:
    parameters = {"limit": LISTED_ITEMS, "days": RECENT_DAYS, "changes": min(RECENT_CHANGES, LISTED_CHANGES)}
    rows = await read(pool, "low_items", **parameters)
    return [(item := Item.from_row(row), _cover(item, row["since"], int(row["consumed"]))) for row in rows]


def _cover(item: Item, since: datetime | None, consumed: int) -> Cover:
    return Cover.of(item.quantity, item.reorder_level, Consumption.since(since, consumed))
