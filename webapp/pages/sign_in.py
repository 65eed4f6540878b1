"""Signing in and out, and the invitation by which a password is chosen. All of it works without scripts."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from webapp.access import invitations, sessions
from webapp.access.accounts import AccountError
from webapp.access.attempts import Attempt, TooManyAttempts
from webapp.access.authentication import SIGN_IN, give_token, place_after, token_of
from webapp.access.doorkeeper import Doorkeeper
from webapp.access.passwords import LEAST_CHARACTERS
from webapp.access.sessions import LONGEST, Device
from webapp.addresses import redirect
from webapp.live.pieces import Pieces
from webapp.postgres.statements import Row
from webapp.responses import READ, PiecesOfApp, PoolOfApp, private_html
from webapp.stock.forms import read_fields

router = APIRouter(default_response_class=HTMLResponse)


@router.api_route(SIGN_IN, methods=READ)
async def show_sign_in(request: Request, pieces: PiecesOfApp) -> Response:
    """Ask for name and password."""
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    place = place_after(request.query_params.get("next", ""))
    return _sign_in(pieces, place, has_accounts=doorkeeper.has_accounts)


@router.post(SIGN_IN)
async def sign_in(request: Request, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Sign in, and go on to the page that was asked for."""
    fields = await read_fields(request)
    name, place = fields.get("name", ""), place_after(fields.get("next", ""))
    attempt = attempt_of(request, name)
    try:
        await attempt.count(pool)
    except TooManyAttempts as error:
        response = _sign_in(pieces, place, name=name, error=str(error), status=429)
        response.headers["Retry-After"] = str(error.wait_s)
        return response
    token = await sessions.sign_in(pool, name, fields.get("password", ""), device_of(request), token_of(request))
    if token is None:
        return _sign_in(pieces, place, name=name, error="Wrong name or password.", status=401)
    await attempt.succeed(pool)
    return _signed_in(request, token, place)


@router.post("/sign-out")
async def sign_out(request: Request, pool: PoolOfApp) -> Response:
    """End this browser's session."""
    await sessions.close_session(pool, token_of(request))
    return signed_out(request)


@router.api_route("/invitation", methods=READ)
async def show_invitation(request: Request, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Ask for the password that an account shall have."""
    token = request.query_params.get("token", "")
    invitation = await invitations.find_invitation(pool, token)
    return _invitation(pieces, token, invitation, status=200 if invitation else 410)


@router.post("/invitation")
async def accept_invitation(request: Request, pool: PoolOfApp, pieces: PiecesOfApp) -> Response:
    """Set the password, and sign in with it."""
    fields = await read_fields(request)
    token, name, password = (fields.get(field, "") for field in ("token", "name", "password"))
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    try:
        session = await invitations.accept_invitation(pool, token, name, password, device_of(request))
        await doorkeeper.look()  # it may be the first account
        return _signed_in(request, session, "/")
    except AccountError as error:
        invitation = await invitations.find_invitation(pool, token)
        return _invitation(pieces, token, invitation, error=error, name=name, status=422)


def attempt_of(request: Request, name: str) -> Attempt:
    """Return what is counted of a request that shows a password."""
    return Attempt(name, device_of(request).address, request.app.state.settings.trusted_proxies)


def device_of(request: Request) -> Device:
    """Return from where a request comes, as far as it says."""
    return Device(request.client.host if request.client else "", request.headers.get("user-agent", ""))


def signed_out(request: Request) -> Response:
    """Take the token from the browser, and lead to where one signs in again."""
    response = redirect(request, SIGN_IN)
    give_token(request, response, "", 0)
    response.headers["Clear-Site-Data"] = '"cache"'  # the back button shall not show what was seen
    return response


def _signed_in(request: Request, token: str, place: str) -> Response:
    response = redirect(request, place)
    give_token(request, response, token, int(LONGEST.total_seconds()))
    return response


def _sign_in(pieces: Pieces, place: str, *, status: int = 200, **shown: object) -> Response:
    values = {"name": "", "error": "", "has_accounts": True} | shown
    return private_html(pieces, "account/sign_in.html", status=status, place=place, **values)


def _invitation(pieces: Pieces, token: str, invitation: Row | None, *, status: int, **shown: object) -> Response:
    values = {"name": "", "error": None, "least": LEAST_CHARACTERS} | shown
    return private_html(pieces, "account/invitation.html", status=status, token=token, invitation=invitation, **values)
