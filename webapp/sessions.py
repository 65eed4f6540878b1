"""Sessions: browsers that are signed in. A session's token is the browser's alone, its digest is what is kept."""

from dataclasses import dataclass
from datetime import timedelta

from webapp.database import Source
from webapp.items import MAX_ID
from webapp.passwords import MOST_CHARACTERS, digest_of, hash_password, is_outdated, is_password, new_token
from webapp.roles import Principal, Role
from webapp.statements import Row, execute, fetch_all, fetch_one, note, transaction
from webapp.text import storable, trim

IDLE, LONGEST = timedelta(days=14), timedelta(days=90)
LONGEST_NAME, LONGEST_AGENT, LONGEST_ADDRESS = 64, 300, 64


@dataclass(frozen=True, slots=True)
class Device:
    """From where somebody signs in, as far as it says."""

    address: str
    agent: str


def readable_name(name: str) -> str:
    """Return a name as it would be kept, or one that nobody has."""
    name = trim(name)
    return name if storable(name) == name and len(name) <= LONGEST_NAME else ""


async def sign_in(source: Source, name: str, password: str, device: Device, before: str = "") -> str | None:
    """Return the token of a new session in place of the one `before`; None: no such name and password."""
    row = await fetch_one(source, "account_by_name", name=readable_name(name))
    if not await is_password(row["password_hash"] if row else None, password[:MOST_CHARACTERS]) or row is None:
        return None
    if is_outdated(row["password_hash"]):
        await execute(source, "set_password", id=row["id"], password_hash=await hash_password(password))
    return await open_session(source, row["id"], device, before)


async def open_session(source: Source, account_id: int, device: Device, before: str = "") -> str:
    """Return the token of a new session in place of the one `before`."""
    token = new_token()
    address = storable(device.address)[:LONGEST_ADDRESS]
    values = {"account_id": account_id, "address": address, "agent": storable(device.agent)[:LONGEST_AGENT]}
    async with transaction(source) as connection:
        await execute(connection, "close_session", token_hash=digest_of(before))
        await execute(connection, "open_session", token_hash=digest_of(token), idle=IDLE, **values)
    return token


async def find_session(source: Source, token: str) -> Principal | None:
    """Return on whose behalf a session's requests are; None: there is no such session any more."""
    for row in await live_sessions(source, [digest_of(token)]):
        role = Role.labelled(row["role"])
        return Principal(role, row["name"], row["account_id"], row["session_id"], row["token_hash"])
    return None


async def live_sessions(source: Source, token_hashes: list[bytes]) -> list[Row]:
    """Return those of some sessions that have not expired, seen anew at most once a minute.

    Of each: session_id, token_hash, account_id, name, role.
    """
    rows = await fetch_all(source, "sessions_of_tokens", token_hashes=token_hashes, idle=IDLE, longest=LONGEST)
    if unseen := [row["session_id"] for row in rows if row["is_unseen"]]:
        await note(source, "see_sessions", ids=unseen)
    return rows


async def close_session(source: Source, token: str) -> None:
    """End the session of a token."""
    await execute(source, "close_session", token_hash=digest_of(token))


async def close_own_session(source: Source, principal: Principal, session_id: int) -> None:
    """End one of the principal's sessions; another's stays."""
    if session_id <= MAX_ID:
        await execute(source, "close_session_of_account", account_id=principal.account_id, id=session_id)


async def close_sessions(source: Source, account_id: int | None) -> None:
    """End all sessions of an account."""
    if account_id is not None and account_id <= MAX_ID:
        await execute(source, "close_sessions_of_account", account_id=account_id, kept=0)


async def sessions_of(source: Source, account_id: int | None) -> list[Row]:
    """Return an account's sessions, the newest first: id, created_at, seen_at, address, agent."""
    return await fetch_all(source, "sessions_of_account", account_id=account_id, idle=IDLE, longest=LONGEST)
