"""The operations on accounts; pages and the command use these.

Errors are `AccountError`s: a sentence, and the field it is about ("" for none).
"""

from dataclasses import dataclass

import psycopg

from webapp.access.passwords import LEAST_CHARACTERS, MOST_CHARACTERS, hash_password, is_password
from webapp.postgres.pool import Connection, Source
from webapp.postgres.statements import Row, execute, fetch_all, fetch_one, transaction
from webapp.roles import GIVEN_ROLES, Principal, Role
from webapp.stock.items import MAX_ID
from webapp.text import storable, trim

LONGEST_NAME = 64


class AccountError(Exception):
    """What cannot be done with an account, and which field of a form it is about."""

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class NoSuchAccount(AccountError):
    """The account has been deleted, maybe at this moment."""

    def __init__(self) -> None:
        super().__init__("This account no longer exists.")


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
        raise AccountError(f"There is already an account called {name}.", "name") from error
    return Account.of(row)


async def find_by_name(source: Source, name: str) -> Account | None:
    """Return the account of a name, in whatever case it is written."""
    row = await fetch_one(source, "account_by_name", name=readable_name(name))
    return Account.of(row) if row else None


async def hold(connection: Connection, *account_ids: int) -> dict[int, Row]:
    """Return accounts with their passwords, by id; nobody changes or deletes them before the transaction ends.

    Raises `NoSuchAccount` if one is missing.
    """
    ids = [each for each in account_ids if each <= MAX_ID]
    rows = await fetch_all(connection, "hold_accounts", ids=ids)
    if len(rows) < len(set(account_ids)):
        raise NoSuchAccount
    return {row["id"]: row for row in rows}


async def change_password(source: Source, principal: Principal, old: str, new: str) -> None:
    """Change one's own password; one's other sessions end, and API tokens hold. Raises `AccountError`."""
    checked_password(new)
    account_id = principal.account_id or 0
    row = await fetch_one(source, "account_by_id", id=account_id)
    before = row["password_hash"] if row else None
    is_right = await is_password(before, old[:MOST_CHARACTERS])
    kept = await hash_password(new) if is_right else ""
    async with transaction(source) as connection:
        account = (await hold(connection, account_id))[account_id]
        if not is_right or account["password_hash"] != before:
            raise AccountError("This is not your current password.", "old")
        await execute(connection, "set_password", id=account_id, password_hash=kept)
        await execute(connection, "close_sessions_of_account", account_id=account_id, kept=principal.session_id)


async def set_password(source: Source, account_id: int, password: str) -> None:
    """Set a password without knowing the old one; sessions and API tokens end. Raises `AccountError`."""
    kept = await hash_password(checked_password(password))
    async with transaction(source) as connection:
        await recover(connection, account_id, kept)


async def recover(connection: Connection, account_id: int, kept: str) -> None:
    """Let an account have another password, of which `kept` is kept, and nothing else that lets anybody in."""
    await execute(connection, "set_password", id=account_id, password_hash=kept)
    await execute(connection, "close_sessions_of_account", account_id=account_id, kept=0)
    await execute(connection, "remove_tokens_of_account", account_id=account_id)


async def set_role(source: Source, account_id: int, role: str, *, without_password: bool = False) -> None:
    """Give an account another role. Raises `AccountError`; an admin who can sign in stays, as below."""
    if role not in GIVEN_ROLES:
        raise AccountError(f"The role is one of {', '.join(GIVEN_ROLES)}.", "role")
    async with transaction(source) as connection:
        if role != Role.ADMIN.label:
            await _keep_an_admin(connection, account_id, without_password=without_password)
        else:
            await hold(connection, account_id)
        await execute(connection, "set_role", id=account_id, role=role)


async def delete_account(
    source: Source, account_id: int, *, without_password: bool = False, may_be_last: bool = False
) -> None:
    """Delete an account; its sessions and API tokens end.

    `without_password`: admins can sign in without one, by a proxy's word. `may_be_last`: the last account of all may
    go. Raises `AccountError`.
    """
    async with transaction(source) as connection:
        await _keep_an_admin(connection, account_id, without_password=without_password, may_be_last=may_be_last)
        await execute(connection, "delete_account", id=account_id)


def readable_name(name: str) -> str:
    """Return a name as it would be kept, or one that nobody has."""
    name = trim(name)
    return name if storable(name) == name and len(name) <= LONGEST_NAME else ""


def checked_name(name: str) -> str:
    """Return a name as it is kept. Raises `AccountError`."""
    name = trim(name)
    if not name:
        raise AccountError("Give the account a name.", "name")
    if len(name) > LONGEST_NAME:
        raise AccountError(f"The name has {len(name)} characters; the limit is {LONGEST_NAME}.", "name")
    if not name.isprintable():
        raise AccountError("The name has invisible characters.", "name")
    return name


def checked_password(password: str) -> str:
    """Return a password that may be chosen. Raises `AccountError`."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        text = f"A password has at least {LEAST_CHARACTERS} characters, and at most {MOST_CHARACTERS}."
        raise AccountError(text, "password")
    return password


async def _keep_an_admin(
    connection: Connection, account_id: int, *, without_password: bool, may_be_last: bool = False
) -> None:
    """Raise `AccountError` if without this account there is no admin who can sign in any more."""
    await execute(connection, "lock_accounts")
    account = (await hold(connection, account_id))[account_id]
    counts = account["role"] == Role.ADMIN.label and (account["password_hash"] is not None or without_password)
    (others,) = await fetch_all(connection, "others", id=account_id, without_password=without_password)
    if counts and not others["admins"] and not (may_be_last and not others["accounts"]):
        raise AccountError(f"{account['name']} is the only admin who can sign in: make somebody else an admin first.")
