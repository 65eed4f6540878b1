"""One's own account, and for admins those of all."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from webapp.access import accounts, sessions, tokens
from webapp.access.accounts import AccountError
from webapp.access.attempts import TooManyAttempts
from webapp.access.devices import device_name
from webapp.access.invitations import invite
from webapp.access.passwords import LEAST_CHARACTERS
from webapp.addresses import redirect
from webapp.live.pieces import Pieces
from webapp.pages.sign_in import attempt_of, signed_out
from webapp.postgres.pool import Pool
from webapp.responses import READ, PiecesOfApp, PoolOfApp, private_html
from webapp.roles import GIVEN_ROLES, PRINCIPAL
from webapp.stock.forms import read_fields

router = APIRouter(default_response_class=HTMLResponse)


@router.api_route("/account", methods=READ)
async def show_account(pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Show one's sessions, and the form for another password."""
    return await _own(pool, pieces)


@router.post("/account/password")
async def change_password(request: Request, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Change one's password."""
    fields = await read_fields(request)
    attempt = attempt_of(request, PRINCIPAL.get().name or "")
    try:
        accounts.checked_password(fields.get("password", ""))  # else it would count as an attempt
        await attempt.count(pool)
        await accounts.change_password(pool, PRINCIPAL.get(), fields.get("old", ""), fields.get("password", ""))
        await attempt.succeed(pool)
    except TooManyAttempts as error:
        return await _own(pool, pieces, error=AccountError(str(error), "old"), status=429)
    except AccountError as error:
        return await _own(pool, pieces, error=error, status=422)
    return await _own(pool, pieces, is_changed=True)


@router.post("/account/sessions/{session_id:item}/close")
async def close_session(request: Request, session_id: int, pool: PoolOfApp) -> Response:
    """End one of one's own sessions."""
    await sessions.close_own_session(pool, PRINCIPAL.get(), session_id)
    return signed_out(request) if session_id == PRINCIPAL.get().session_id else redirect(request, "/account")


@router.post("/account/sign-out-everywhere")
async def sign_out_everywhere(request: Request, pool: PoolOfApp) -> Response:
    """End all of one's sessions, this one too."""
    await sessions.close_sessions(pool, PRINCIPAL.get().account_id)
    return signed_out(request)


@router.api_route("/accounts", methods=READ)
async def list_accounts(pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Show all accounts, and the form for a new one."""
    return await _all(pool, pieces)


@router.post("/accounts")
async def add_account(request: Request, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Add an account, and show the link by which its owner chooses a password."""
    fields = await read_fields(request)
    name, role = fields.get("name", ""), fields.get("role", "")
    try:
        account = await accounts.add_account(pool, name, role)
    except AccountError as error:
        return await _all(pool, pieces, error=error, name=name, role=role, status=422)
    return await _invite(request, account.id, pool, pieces)


@router.post("/accounts/{account_id:item}/role")
async def set_role(request: Request, account_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Give an account another role."""
    fields = await read_fields(request)
    try:
        role, without_password = fields.get("role", ""), _without_password(request)
        await accounts.set_role(pool, account_id, role, without_password=without_password)
    except AccountError as error:
        return await _all(pool, pieces, refusal=error, status=409)
    return redirect(request, "/accounts")


@router.post("/accounts/{account_id:item}/invite")
async def invite_again(request: Request, account_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Show a link by which an account's owner chooses another password."""
    return await _invite(request, account_id, pool, pieces)


@router.post("/accounts/{account_id:item}/sign-out")
async def sign_out_account(request: Request, account_id: int, pool: PoolOfApp) -> Response:
    """End all sessions of an account."""
    await sessions.close_sessions(pool, account_id)
    return redirect(request, "/accounts")


@router.post("/accounts/{account_id:item}/remove-tokens")
async def remove_tokens(request: Request, account_id: int, pool: PoolOfApp) -> Response:
    """Remove all API tokens of an account."""
    await tokens.remove_tokens(pool, account_id)
    return redirect(request, "/accounts")


@router.post("/accounts/{account_id:item}/delete")
async def delete_account(request: Request, account_id: int, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Delete an account. What it has done stays in the history under its name."""
    try:
        await accounts.delete_account(pool, account_id, without_password=_without_password(request))
    except AccountError as error:
        return await _all(pool, pieces, refusal=error, status=409)
    return redirect(request, "/accounts")


async def _invite(request: Request, account_id: int, pool: Pool, pieces: Pieces) -> Response:
    try:
        token = await invite(pool, account_id, PRINCIPAL.get().account_id)
    except AccountError as error:
        return await _all(pool, pieces, refusal=error, status=409)
    link = f"{str(request.base_url).rstrip('/')}/invitation?token={token}"
    return await _all(pool, pieces, link=link, invited=account_id, status=201)


def _without_password(request: Request) -> bool:
    """Whether people sign in without a password of ours, by a proxy's word."""
    return request.app.state.settings.trusted_user_header is not None


async def _own(pool: Pool, pieces: Pieces, *, status: int = 200, **shown: Any) -> Response:
    account_id = PRINCIPAL.get().account_id
    found = {
        "sessions": await sessions.sessions_of(pool, account_id),
        "tokens": await tokens.tokens_of(pool, account_id or 0),
        "device_name": device_name,
    }
    values = found | {"least": LEAST_CHARACTERS, "error": None, "is_changed": False} | shown
    return private_html(pieces, "account/own.html", status=status, **values)


async def _all(pool: Pool, pieces: Pieces, *, status: int = 200, **shown: Any) -> Response:
    nothing = {"error": None, "refusal": "", "name": "", "role": "editor", "link": "", "invited": 0}
    values = {"accounts": await sessions.all_accounts(pool), "roles": GIVEN_ROLES} | nothing | shown
    return private_html(pieces, "account/all.html", status=status, **values)
