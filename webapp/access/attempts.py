"""Attempts to sign in: counted in the database, for all processes, before the password is looked at.

Counted are the account and the address. An account that has signed in from an address before is counted there by
itself, so that strangers elsewhere cannot keep its owner out.
"""

import math
from datetime import timedelta
from hashlib import sha256

from webapp.access.accounts import LONGEST_NAME
from webapp.access.crowd import neighbourhood
from webapp.postgres.pool import Connection, Source
from webapp.postgres.statements import execute, fetch_all, fetch_one, transaction
from webapp.text import storable, trim

FREE_OF_ACCOUNT, FREE_OF_ADDRESS = 5, 20
LONGEST = timedelta(minutes=15)
KEPT, FAMILIAR_FOR = timedelta(days=1), timedelta(days=90)


class TooManyAttempts(Exception):
    """Whoever tries next has to wait, for so many seconds. It says nothing of whether there is such an account."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = math.ceil(wait_s)

    def __str__(self) -> str:
        wait = f"{self.wait_s} s" if self.wait_s < 90 else f"{math.ceil(self.wait_s / 60)} minutes"
        return f"Too many attempts to sign in. Try again in {wait}."


class Attempt:
    """One attempt: it counts as failed until it has succeeded.

    `name` is what was typed. Of loopback and the `proxies` the address says nothing, and is not counted.
    """

    def __init__(self, name: str, address: str | None, proxies: tuple[str, ...] = ()) -> None:
        place = neighbourhood(address, proxies)
        self._name, self._place = trim(storable(name))[: LONGEST_NAME + 1], place or ""
        self._address = _digest("address", place) if place else None
        self._familiar = b""
        self._counted: list[bytes] = []

    async def count(self, source: Source) -> None:
        """Count it. Raises `TooManyAttempts`, and then counts nothing."""
        await execute(source, "forget_attempts")  # by itself: what it locks must not wait for what is counted
        async with transaction(source) as connection:
            name = await _folded(connection, self._name)
            self._familiar = _digest("account and address", name, self._place)
            account = self._familiar if await self._is_familiar(connection) else _digest("account", name)
            free = {account: FREE_OF_ACCOUNT} | ({self._address: FREE_OF_ADDRESS} if self._address else {})
            values = {"digests": list(free), "free": list(free.values()), "kept": KEPT, "longest": LONGEST}
            if len(await fetch_all(connection, "count_attempt", **values)) < len(free):
                raise TooManyAttempts(await _wait_s(connection, values))
            self._counted = list(free)

    async def succeed(self, source: Source) -> None:
        """Take note that the password was right. Others' failures stay counted."""
        async with transaction(source) as connection:
            await execute(connection, "undo_attempt", digests=self._counted)
            familiar = {"digest": self._familiar, "free": FREE_OF_ACCOUNT, "kept": FAMILIAR_FOR}
            await execute(connection, "make_familiar", **familiar)

    async def _is_familiar(self, connection: Connection) -> bool:
        row = await fetch_one(connection, "is_familiar", digest=self._familiar)
        return bool(row and row["is_familiar"])


async def _folded(connection: Connection, name: str) -> str:
    """Return a name as the database compares it: whatever it takes for the same is counted as the same."""
    row = await fetch_one(connection, "folded_name", name=name)
    return str(row["name"]) if row else name


async def _wait_s(connection: Connection, values: dict[str, object]) -> float:
    row = await fetch_one(connection, "attempts_wait", digests=values["digests"])
    return float(row["wait_s"]) if row else 0.0


def _digest(*parts: str) -> bytes:
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()
