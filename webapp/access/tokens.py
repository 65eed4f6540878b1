"""API tokens: what programs show instead of a password. Each belongs to an account, and may do no more than that."""

from datetime import timedelta

from webapp.access.accounts import AccountError, hold
from webapp.access.passwords import digest_of, new_token
from webapp.postgres.pool import Source
from webapp.postgres.statements import Row, execute, fetch_all, note, transaction
from webapp.roles import Principal, Role
from webapp.stock.items import MAX_ID
from webapp.text import trim

PREFIX = "li_"  # by which people know what it is, and scanners for leaked secrets
MOST_OF_ACCOUNT = 50
MOST_DAYS, USUAL_DAYS = 366, 90
LONGEST_LABEL = 64


async def add_token(source: Source, account_id: int | None, label: str, days: int, *, may_write: bool) -> str:
    """Return a new token, which nobody can find out later. Raises `AccountError`."""
    token, label = PREFIX + new_token(), checked_label(label)
    if not account_id:
        raise AccountError("A token belongs to an account: create one first.", "label")
    if not 1 <= days <= MOST_DAYS:
        raise AccountError(f"A token lasts from 1 to {MOST_DAYS} days.", "days")
    values = {"label": label, "may_write": may_write, "lasts": timedelta(days=days), "most": MOST_OF_ACCOUNT}
    async with transaction(source) as connection:
        await hold(connection, account_id)  # others who add one wait, or there would be too many
        rows = await fetch_all(connection, "add_token", account_id=account_id, token_hash=digest_of(token), **values)
    if not rows:
        raise AccountError(f"There are {MOST_OF_ACCOUNT} tokens already: remove one first.", "label")
    return token


async def find_token(source: Source, token: str) -> Principal | None:
    """Return on whose behalf a program is; None: there is no such token any more."""
    for row in await fetch_all(source, "accounts_of_tokens", token_hashes=[digest_of(token)]):
        if row["is_unseen"]:
            await note(source, "use_token", id=row["id"])
        return Principal(role_of(row), row["name"], row["account_id"], token_hash=row["token_hash"])
    return None


async def tokens_of(source: Source, account_id: int | None = None) -> list[Row]:
    """Return the tokens of an account, or all: id, account, label, may_write, created_at, expires_at, used_at, ..."""
    return await fetch_all(source, "tokens", account_id=account_id)


async def remove_token(source: Source, token_id: int, account_id: int | None = None) -> None:
    """Remove a token, of whatever account if none is named; its sockets are closed. Raises `AccountError`."""
    rows = await fetch_all(source, "remove_token", id=token_id, account_id=account_id) if token_id <= MAX_ID else []
    if not rows:
        raise AccountError("This token no longer exists.")


async def remove_tokens(source: Source, account_id: int | None) -> None:
    """Remove all tokens of an account."""
    if account_id is not None and account_id <= MAX_ID:
        await execute(source, "remove_tokens_of_account", account_id=account_id)


def role_of(row: Row) -> Role:
    """Return what a token may: what its account may now, but never administer, and only watch if it is to read."""
    return min(Role.labelled(row["role"]), Role.EDITOR if row["may_write"] else Role.VIEWER)


def checked_label(label: str) -> str:
    """Return a label as it is kept. Raises `AccountError`."""
    label = trim(label)
    if not label or len(label) > LONGEST_LABEL or not label.isprintable():
        raise AccountError(f"Say in up to {LONGEST_LABEL} characters what the token is for.", "label")
    return label
