"""The operations on accounts and their invitations; pages and the command use these.

Errors are `AccountError`s: a sentence, and the field it is about ("" for none).
"""

from dataclasses import dataclass
from datetime import timedelta

import psycopg

from webapp.database import Connection, Source
from webapp.items import MAX_ID
from webapp.passwords import (
    LEAST_CHARACTERS,
    MOST_CHARACTERS,
    digest_of,
    hash_password,
    is_password,
    new_token,
)
from webapp.roles import GIVEN_ROLES, Principal, Role
from webapp.sessions import LONGEST_NAME, Device, open_session, readable_name
from webapp.statements import Row, execute, fetch_all, fetch_one, transaction
from webapp.text import trim

INVITATION_LASTS = timedelta(days=3)
USED_UP = "This invitation was used before, or is too old. Ask for another one."


class AccountError(Exception):
    """What cannot be done with an account, and which field of a form it is about."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


@dataclass(frozen=True, slots=True)
class Account:
    """An account, without its secrets."""

    id: int
    name: str
    role: Role

    @classmethod
    def of(cls, row: Row) -> "Account":
        """Read a row that has at least an account's id, name and role."""
        return cls(row["id"], row["name"], Role.labelled(row["role"]))


async def add_account(source: Source, name: str, role: str, password: str | None = None) -> Account:
    """Add an account; without a password it needs an invitation. Raises `AccountError`."""
    name = checked_name(name)
    if role not in GIVEN_ROLES:
        raise AccountError(f"The role is one of {', '.join(GIVEN_ROLES)}.", "role")
    kept = await hash_password(checked_password(password)) if password is not None else None
    try:
        (row,) = await fetch_all(source, "add_account", name=name, role=role, password_hash=kept)
    except psycopg.errors.UniqueViolation as error:
        raise AccountError(f"There is an account called {name} already.", "name") from error
    return Account.of(row)


async def all_accounts(source: Source) -> list[Row]:
    """Return all accounts by name: id, name, role, created_at, has_password, sessions, seen_at."""
    return await fetch_all(source, "accounts")


async def find_by_name(source: Source, name: str) -> Account | None:
    """Return the account of a name, in whatever case it is written."""
    row = await fetch_one(source, "account_by_name", name=readable_name(name))
    return Account.of(row) if row else None


async def find_account(source: Source, account_id: int) -> Account | None:
    """Return an account, if there is one with this id."""
    row = await fetch_one(source, "account_by_id", id=account_id) if account_id <= MAX_ID else None
    return Account.of(row) if row else None


async def change_password(source: Source, principal: Principal, old: str, new: str) -> None:
    """Change one's own password; one's other sessions end. Raises `AccountError`."""
    row = await fetch_one(source, "account_by_id", id=principal.account_id)
    if not await is_password(row["password_hash"] if row else None, old[:MOST_CHARACTERS]) or row is None:
        raise AccountError("This is not your password.", "old")
    await set_password(source, row["id"], new, kept_session=principal.session_id)


async def set_password(source: Source, account_id: int, password: str, kept_session: int = 0) -> None:
    """Set a password and end the account's sessions, but for one. Raises `AccountError`."""
    kept = await hash_password(checked_password(password))
    async with transaction(source) as connection:
        await execute(connection, "set_password", id=account_id, password_hash=kept)
        await execute(connection, "close_sessions_of_account", account_id=account_id, kept=kept_session)


async def set_role(source: Source, account_id: int, role: str) -> None:
    """Give an account another role. Raises `AccountError`."""
    if role not in GIVEN_ROLES:
        raise AccountError(f"The role is one of {', '.join(GIVEN_ROLES)}.", "role")
    async with transaction(source) as connection:
        await _keep_an_admin(connection, account_id, becomes_admin=role == Role.ADMIN.label)
        await execute(connection, "set_role", id=account_id, role=role)


async def delete_account(source: Source, account_id: int, *, may_be_last: bool = False) -> None:
    """Delete an account; its sessions end. Raises `AccountError`."""
    async with transaction(source) as connection:
        await _keep_an_admin(connection, account_id, may_be_last=may_be_last)
        await execute(connection, "delete_account", id=account_id)


async def invite(source: Source, account_id: int | None = None) -> str:
    """Return the token of an invitation to choose the password of an account, or to make the first of all."""
    token = new_token()
    lasts = {"lasts": INVITATION_LASTS}
    await execute(source, "invite", token_hash=digest_of(token), account_id=account_id, **lasts)
    return token


async def find_invitation(source: Source, token: str) -> Row | None:
    """Return `account_id`, `name` and `role` of whom it is for, all None for the first; None: it does not hold."""
    return await fetch_one(source, "invitation", token_hash=digest_of(token))


async def accept_invitation(source: Source, token: str, name: str, password: str, device: Device) -> str:
    """Set the password and return the token of a session; `name` is for the first account. Raises `AccountError`."""
    checked_password(password)
    if await find_invitation(source, token) is None:  # without it nobody takes the lock
        raise AccountError(USED_UP)
    async with transaction(source) as connection:
        await execute(connection, "lock_accounts")
        invitation = await find_invitation(connection, token)
        if invitation is None:
            raise AccountError(USED_UP)
        account_id = invitation["account_id"]
        if account_id is None:
            account_id = (await add_account(connection, name, Role.ADMIN.label)).id
        await execute(connection, "spend_invitation", token_hash=digest_of(token))
        await set_password(connection, account_id, password)
        return await open_session(connection, account_id, device)


def checked_name(name: str) -> str:
    """Return a name as it is kept. Raises `AccountError`."""
    name = trim(name)
    if not name:
        raise AccountError("Give the account a name.", "name")
    if len(name) > LONGEST_NAME:
        raise AccountError(f"The name has {len(name)} characters; {LONGEST_NAME} are the most.", "name")
    if not name.isprintable():
        raise AccountError("The name has characters that cannot be seen.", "name")
    return name


def checked_password(password: str) -> str:
    """Return a password that may be chosen. Raises `AccountError`."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        text = f"A password has at least {LEAST_CHARACTERS} characters, and at most {MOST_CHARACTERS}."
        raise AccountError(text, "password")
    return password


async def _keep_an_admin(
    connection: Connection, account_id: int, *, becomes_admin: bool = False, may_be_last: bool = False
) -> None:
    await execute(connection, "lock_accounts")
    account = await find_account(connection, account_id)
    if account is None:
        raise AccountError("There is no such account any more.")
    (others,) = await fetch_all(connection, "others", id=account_id)
    stops_it = account.role is Role.ADMIN and not becomes_admin
    if stops_it and not others["admins"] and not (may_be_last and not others["accounts"]):
        raise AccountError(f"{account.name} is the only admin: make somebody else one first.")
