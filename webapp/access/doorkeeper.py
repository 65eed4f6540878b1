"""Who comes in, and who may stay: sockets and long answers are looked after while they last, on every process."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import psycopg

from webapp.access.identification import Identify
from webapp.access.sessions import live_sessions
from webapp.access.tokens import role_of
from webapp.live.changes import AccountsChanged, Event
from webapp.postgres.pool import Pool
from webapp.postgres.statements import read
from webapp.roles import ANYBODY, NOBODY, Principal, Role
from webapp.sockets.client import POLICY_VIOLATION, SERVICE_RESTART, Client, Frames
from webapp.text import first_line

logger = logging.getLogger(__name__)

LOOK_S = 0.8  # so that a second is enough also where no notification is heard
SLICE = 1_000  # visits: ten thousand at once would hold up the loop for 20 ms
PAUSE_S = 0.1  # anybody may sign out as often as he likes, and each time is a hint


Dismiss = Callable[[Role | None], object]


@dataclass(eq=False, slots=True)
class Visit:
    """Somebody who is there, and what is done when his role is another one, or None: he may no longer be there."""

    doorkeeper: "Doorkeeper"
    principal: Principal
    dismiss: Dismiss

    def leave(self) -> None:
        """Take note that he has gone."""
        self.doorkeeper.visits.discard(self)


class Doorkeeper:
    """Finds out on whose behalf requests are, and dismisses those whose session ended or whose role changed.

    A notification only says when to look; the tables are the truth.
    """

    def __init__(self, pool: Pool) -> None:
        self.has_accounts = False
        self.visits: set[Visit] = set()
        self._pool = pool
        self._hinted = asyncio.Event()

    async def admit(self, identify: Identify | None, *, is_open: bool) -> Principal:
        """Return on whose behalf a request is; `is_open`: nobody need sign in without accounts."""
        if is_open and not self.has_accounts:
            return ANYBODY
        return (await identify(self._pool) if identify else None) or NOBODY

    def enter(self, principal: Principal, dismiss: Dismiss) -> Visit:
        """Look after somebody from now on, until he leaves."""
        visit = Visit(self, principal, dismiss)
        self.visits.add(visit)
        return visit

    def hear(self, event: Event) -> None:
        """Look at once when something has changed."""
        if isinstance(event, AccountsChanged):
            self._hinted.set()

    async def run(self) -> None:
        """Look again and again, for ever. While the database is away nothing is shown that is new."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._hinted.wait()
            self._hinted.clear()
            try:
                await self.look()
            except (psycopg.Error, OSError) as error:
                logger.info("accounts could not be read: %s", first_line(error))
            await asyncio.sleep(PAUSE_S)

    async def look(self) -> None:
        """Dismiss those who may no longer be there as they are. Raises `psycopg.Error`."""
        visits = list(self.visits)
        self.has_accounts = (await read(self._pool, "any_account"))[0]["found"]
        for start in range(0, len(visits), SLICE):
            some = visits[start : start + SLICE]
            roles = await self._roles({visit.principal for visit in some})
            for visit in some:
                role = self._role_now(visit.principal, roles)
                if role is not visit.principal.role:
                    visit.dismiss(role)

    async def may_stay(self, principal: Principal) -> bool:
        """Whether one who was let in and has waited since would be let in again."""
        return self._role_now(principal, await self._roles({principal})) is not None

    def _role_now(self, principal: Principal, roles: Mapping[bytes | int | None, Role]) -> Role | None:
        """Of whoever came where it was open nothing is looked up: he may stay until there are accounts."""
        key = _key(principal)
        return roles.get(key) if key is not None or self.has_accounts else principal.role

    async def _roles(self, principals: Collection[Principal]) -> dict[bytes | int | None, Role]:
        """Return the roles that some have now, by what `_key` says; those that are nobody any more are missing."""
        sessions = [each.token_hash for each in principals if each.session_id]
        tokens = [each.token_hash for each in principals if each.token_hash and not each.session_id]
        accounts = [each.account_id for each in principals if each.account_id and not each.token_hash]
        roles: dict[bytes | int | None, Role] = {}
        if sessions:
            rows = await live_sessions(self._pool, sessions)
            roles |= {row["token_hash"]: Role.labelled(row["role"]) for row in rows}
        if tokens:
            rows = await read(self._pool, "accounts_of_tokens", token_hashes=tokens)
            roles |= {row["token_hash"]: role_of(row) for row in rows}
        if accounts:
            rows = await read(self._pool, "roles_of_accounts", account_ids=accounts)
            roles |= {row["id"]: Role.labelled(row["role"]) for row in rows}
        return roles


def _key(principal: Principal) -> bytes | int | None:
    """Return by what somebody is looked after: his session or token, or the account that a proxy answers for."""
    return principal.token_hash or principal.account_id


def closing(client: Client, goodbye: Frames | None) -> Dismiss:
    """Return how a client's socket is closed, and what the client is told before."""
    return partial(_close, client, goodbye)


def _close(client: Client, goodbye: Frames | None, role: Role | None) -> None:
    """One whose role has changed comes back by itself, with the new one; one whose session has ended does not."""
    connection = client.connection
    if connection is None:
        return
    if role is not None:
        connection.close(SERVICE_RESTART, "your role has changed")
        return
    if goodbye is not None and connection.behind_since is None:
        connection.write(goodbye)
    connection.close(POLICY_VIOLATION, "signed out")
