"""The activity page: every change there was, to be searched, and as a file."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from webapp.files.csv_files import BOM, to_csv
from webapp.responses import READ, PiecesOfApp, PoolOfApp, html
from webapp.socket import HubOfApp
from webapp.stock.activity import Log, Search
from webapp.stock.history import FieldChange, LoggedChange

router = APIRouter(default_response_class=HTMLResponse)

COLUMNS = (
    *("change", "at", "transaction", "operation", "item", "name", "quantity before", "quantity after", "difference"),
    *("other fields", "who", "how", "why", "undoes change", "undone"),
)


@router.api_route("/activity", methods=READ)
async def show_activity(request: Request, pool: PoolOfApp, pieces: PiecesOfApp, hub: HubOfApp) -> Response:
    """Show a page of the changes that were looked for."""
    search, complaints = Search.parse(request.query_params)
    log = Log(pool, hub.history, search, pieces.timezone)
    await log.open()
    found = await log.page(search.before)
    changes = await hub.history.with_transactions(found.changes)
    values: dict[str, Any] = {"search": search, "complaints": complaints, "found": found, "changes": changes}
    return html(pieces, "activity/index.html", as_of=datetime.now(UTC), **values)


@router.get("/activity.csv")
async def export_activity(request: Request, pool: PoolOfApp, pieces: PiecesOfApp, hub: HubOfApp) -> Response:
    """Send all changes that were looked for as CSV."""
    search, _ = Search.parse(request.query_params)
    log = Log(pool, hub.history, search, pieces.timezone)
    await log.open()
    headers = {"Content-Disposition": 'attachment; filename="activity.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_lines(log), media_type="text/csv; charset=utf-8", headers=headers)


async def _lines(log: Log) -> AsyncIterator[bytes]:
    yield (BOM + to_csv([COLUMNS])).encode()
    async for changes in log.all():
        if changes:
            yield to_csv(map(_cells, changes)).encode()


def _cells(change: LoggedChange) -> tuple[object, ...]:
    before, after = change.before_quantity, change.after_quantity
    difference = None if before is None or after is None else after - before
    return (
        *(change.id, change.at.isoformat(), change.xid, change.operation, change.item_id, change.name),
        *(before, after, difference, _told(change.fields), change.who, change.how, change.reason, change.undoes),
        "yes" if change.is_undone else "",
    )


def _told(fields: Iterable[FieldChange]) -> str:
    sides = ((field.label, _text(field.before), _text(field.after)) for field in fields)
    return "; ".join(f"{label}: {before} → {after}" for label, before, after in sides)


def _text(value: object) -> str:
    return "—" if value is None else str(value)
