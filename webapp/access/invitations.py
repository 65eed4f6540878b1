"""Invitations: links that work once, to choose the password of an account, or to make the first account of all."""

from datetime import timedelta

from webapp.access.accounts import AccountError, add_account, checked_password, hold, recover
from webapp.access.passwords import digest_of, hash_password, new_token
from webapp.access.sessions import Device, open_session
from webapp.postgres.pool import Source
from webapp.postgres.statements import Row, execute, fetch_one, transaction
from webapp.roles import Role

LAST = timedelta(days=3)
USED_UP = "This invitation has been used, or is too old. Ask for a new one."


async def invite(source: Source, account_id: int | None = None, made_by: int | None = None) -> str:
    """Return the token of an invitation to an account, or to make the first; the one before is worth nothing.

    It holds as long as the account `made_by` is an admin's; None: it is the operator's. Raises `NoSuchAccount`.
    """
    token = new_token()
    values = {"account_id": account_id, "made_by": made_by, "lasts": LAST}
    async with transaction(source) as connection:
        await hold(connection, *(each for each in (account_id, made_by) if each is not None))
        await execute(connection, "invite", token_hash=digest_of(token), **values)
    return token


async def find_invitation(source: Source, token: str) -> Row | None:
    """Return `account_id`, `name` and `role` of whom it is for, all None for the first; None: it does not hold."""
    return await fetch_one(source, "invitation", token_hash=digest_of(token))


async def accept_invitation(source: Source, token: str, name: str, password: str, device: Device) -> str:
    """Set the password and return the token of a session; `name` is for the first account. Raises `AccountError`.

    Whatever else let somebody into the account ends.
    """
    checked_password(password)
    if await find_invitation(source, token) is None:  # without it nobody makes us work or takes the lock
        raise AccountError(USED_UP)
    kept = await hash_password(password)
    async with transaction(source) as connection:
        await execute(connection, "lock_accounts")
        invitation = await find_invitation(connection, token)
        if invitation is None:
            raise AccountError(USED_UP)
        account_id = invitation["account_id"] or (await add_account(connection, name, Role.ADMIN.label)).id
        await execute(connection, "spend_invitation", token_hash=digest_of(token))
        await recover(connection, account_id, kept)
        return await open_session(connection, account_id, device)
