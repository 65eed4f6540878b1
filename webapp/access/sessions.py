"""Sessions: browsers that are signed in. A session's token is the browser's alone, its digest is what is kept."""

from dataclasses import dataclass
from datetime import timedelta

from webapp.access.accounts import NoSuchAccount, hold, readable_name
from webapp.access.passwords import MOST_CHARACTERS, digest_of, hash_password, is_outdated, is_password, new_token
from webapp.postgres.pool import Connection, Source
from webapp.postgres.statements import Row, execute, fetch_all, fetch_one, note, transaction
from webapp.roles import Principal, Role
from webapp.stock.items import MAX_ID
from webapp.text import storable

IDLE, LONGEST = timedelta(days=14), timedelta(days=90)
LONGEST_AGENT, LONGEST_ADDRESS = 300, 64


@dataclass(frozen=True, slots=True)
class Device:
    """From where somebody signs in, as far as it says."""

    address: str
    agent: str


async def sign_in(source: Source, name: str, password: str, device: Device, before: str = "") -> str | None:
    """Return the token of a new session in place of the one `before`; None: no such name and password."""
    row = await fetch_one(source, "account_by_name", name=readable_name(name))
    kept = row["password_hash"] if row else None
    if not await is_password(kept, password[:MOST_CHARACTERS]) or row is None or kept is None:
        return None
    anew = await hash_password(password) if is_outdated(kept) else kept
    try:
        async with transaction(source) as connection:
            if (await hold(connection, row["id"]))[row["id"]]["password_hash"] != kept:
                return None  # it was changed meanwhile, and the sessions of whoever knew the old one are closed
            if anew != kept:
                await execute(connection, "rehash_password", id=row["id"], password_hash=anew)
            return await open_session(connection, row["id"], device, before)
    except NoSuchAccount:
        return None


async def open_session(connection: Connection, account_id: int, device: Device, before: str = "") -> str:
    """Return the token of a new session in place of the one `before`; the caller's transaction holds the account."""
    token = new_token()
    address = storable(device.address)[:LONGEST_ADDRESS]
    values = {"account_id": account_id, "address": address, "agent": storable(device.agent)[:LONGEST_AGENT]}
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


async def all_accounts(source: Source) -> list[Row]:
    """Return all accounts by name: id, name, role, created_at, has_password, sessions, seen_at, tokens."""
    return await fetch_all(source, "accounts", idle=IDLE, longest=LONGEST)


async def sessions_of(source: Source, account_id: int | None) -> list[Row]:
    """Return an account's sessions, the newest first: id, created_at, seen_at, address, agent."""
    return await fetch_all(source, "sessions_of_account", account_id=account_id, idle=IDLE, longest=LONGEST)
