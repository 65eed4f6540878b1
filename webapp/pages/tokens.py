"""API tokens: one's own, and for admins those of all."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from webapp.access import tokens
from webapp.access.accounts import AccountError, NoSuchAccount
from webapp.access.tokens import LONGEST_LABEL, MOST_DAYS, USUAL_DAYS
from webapp.addresses import redirect
from webapp.live.pieces import Pieces
from webapp.postgres.pool import Pool
from webapp.responses import READ, PiecesOfApp, PoolOfApp, private_html
from webapp.roles import PRINCIPAL
from webapp.stock.forms import read_fields
from webapp.text import whole_number

router = APIRouter(default_response_class=HTMLResponse)

OWN, ALL = "/account/tokens", "/accounts/tokens"


@router.api_route(OWN, methods=READ)
async def show_own(pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Show one's tokens, and the form for a new one."""
    return await _page(pool, pieces, OWN)


@router.post(OWN)
async def add(request: Request, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Make a token, and show it this once."""
    fields = await read_fields(request)
    label, days = fields.get("label", ""), fields.get("days", "")
    may_write = fields.get("may_write") == "1"
    try:
        lasts = whole_number(days, MOST_DAYS) or 0
        token = await tokens.add_token(pool, _owner(OWN), label, lasts, may_write=may_write)
    except NoSuchAccount as error:
        raise HTTPException(401, "Your account has been deleted.") from error
    except AccountError as error:
        typed = {"label": label, "days": days, "may_write": may_write}
        return await _page(pool, pieces, OWN, error=error, status=422, **typed)
    return await _page(pool, pieces, OWN, secret=token, status=201)


@router.post(OWN + "/remove-all")
async def remove_all(request: Request, pool: PoolOfApp) -> Response:
    """Remove all of one's tokens."""
    await tokens.remove_tokens(pool, _owner(OWN))
    return redirect(request, OWN)


@router.post(OWN + "/{token_id:item}/remove")
async def remove_own(request: Request, token_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Remove one of one's tokens."""
    return await _remove(request, pool, pieces, OWN, token_id)


@router.api_route(ALL, methods=READ)
async def show_all(pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Show everybody's tokens."""
    return await _page(pool, pieces, ALL)


@router.post(ALL + "/{token_id:item}/remove")
async def remove_any(request: Request, token_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Remove somebody's token."""
    return await _remove(request, pool, pieces, ALL, token_id)


async def _remove(request: Request, pool: Pool, pieces: Pieces, place: str, token_id: int) -> Response:
    try:
        await tokens.remove_token(pool, token_id, _owner(place))
    except AccountError as error:
        return await _page(pool, pieces, place, refusal=error, status=409)
    return redirect(request, place)


async def _page(pool: Pool, pieces: Pieces, place: str, *, status: int = 200, **shown: Any) -> Response:
    nothing = {"error": None, "refusal": "", "secret": "", "label": "", "days": USUAL_DAYS, "may_write": False}
    about = {"place": place, "is_own": place == OWN, "longest": LONGEST_LABEL}
    found = {"tokens": await tokens.tokens_of(pool, _owner(place))}
    return private_html(pieces, "account/tokens.html", status=status, **(nothing | about | found | shown))


def _owner(place: str) -> int | None:
    """Return whose tokens a place is about, None for everybody's; 0 for who has no account, where it is open."""
    return (PRINCIPAL.get().account_id or 0) if place == OWN else None
