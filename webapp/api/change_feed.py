"""Committed changes for programs: each exactly once, whatever the order of the commits, in pages of bounded size."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import psycopg

from webapp.api.cursors import read_cursor, unusable, write_cursor
from webapp.api.models import ChangePage, State, StockChange
from webapp.live.changes import Changes, Event, Resync
from webapp.live.listener import Listener
from webapp.postgres.pool import Connection, Pool, use_connection
from webapp.postgres.queries import QUERIES, filled
from webapp.problems import Problem
from webapp.stock.items import FIELDS, MAX_ID

_FIRST, _NEXT = (filled("feed_page", window=name) for name in ("window_from_its_start", "window_after_an_id"))
_SNAPSHOT = re.compile(r"[0-9]{1,20}:[0-9]{1,20}:([0-9]{1,20}(,[0-9]{1,20})*)?")


class Bell:
    """Wakes whoever waits for changes."""

    def __init__(self) -> None:
        self.next_ring = asyncio.Event()
        self.is_last = False

    def close(self) -> None:
        """Wake all, and let nobody wait any more."""
        self.is_last = True
        self.ring()

    def hear(self, event: Event) -> None:
        """Ring for each event that may be a change."""
        if isinstance(event, Changes | Resync):
            self.ring()

    def ring(self) -> None:
        """Wake all; who waits from now on waits for the next time."""
        self.next_ring.set()
        self.next_ring = asyncio.Event()


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a program has been told: all that the snapshot `since` sees, and of what `upto` sees more, ids to `last_id`.

    With two snapshots a page may end anywhere: what follows is still what `upto` sees, and nothing that came later
    with a smaller id can be taken for it. Without `upto` the next page is what has come since `since`.
    """

    epoch: str
    since: str
    upto: str | None = None
    last_id: int = 0

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what a program was given. Raises a `Problem` if it is no cursor."""
        epoch, since, upto, last_id = read_cursor(text, 4)
        snapshots = (since, since if upto is None else upto)
        if not all(isinstance(one, str) and _SNAPSHOT.fullmatch(one) for one in snapshots):
            raise unusable("This is no cursor of ours.")
        if not (type(last_id) is int and 0 <= last_id <= MAX_ID):
            raise unusable("This is no cursor of ours.")
        return cls(str(epoch), since, upto, last_id)

    def __str__(self) -> str:
        return write_cursor(self.epoch, self.since, self.upto, self.last_id)


class ChangeFeed:
    """Reads the log for programs; asks it again when the bell rings, and not before."""

    def __init__(self, pool: Pool, bell: Bell, listener: Listener) -> None:
        self._pool = pool
        self._bell = bell
        self._listener = listener

    async def start(self) -> ChangePage:
        """Return no change, and the cursor of now."""
        async with use_connection(self._pool) as connection:
            position = await _position(connection, None)
        return _page([], Cursor(_digest(position["epoch"]), position["now"]), more=False)

    async def read(self, text: str, limit: int, wait_s: float) -> ChangePage:
        """Return the next changes, or none when the time is up. Raises a `Problem` for a cursor of other times."""
        cursor = Cursor.read(text)
        ends_at = asyncio.get_running_loop().time() + wait_s
        watcher = self._listener.enter()
        try:
            while True:
                ring = self._bell.next_ring  # before the look: a change right behind it rings this one
                page = await self._look(cursor, limit)
                if page.changes or self._bell.is_last or not await _is_set_before(ring, ends_at):
                    return page
                cursor = Cursor.read(page.cursor)
        finally:
            watcher.leave()

    async def _look(self, cursor: Cursor, limit: int) -> ChangePage:
        async with use_connection(self._pool) as connection:
            try:
                position = await _position(connection, cursor)
                upto = cursor.upto or position["now"]
                window = {"since": cursor.since, "upto": upto, "ended": _ended(cursor.since, upto)}
                place = {"last_id": cursor.last_id, "limit": limit + 1}
                query = _NEXT if cursor.last_id else _FIRST
                rows = await (await connection.execute(query, window | place)).fetchall()
            except psycopg.DataError as error:
                raise unusable("This is no cursor of ours.") from error
        if len(rows) > limit:
            last_id = rows[limit - 1]["id"]
            return _page(rows[:limit], Cursor(cursor.epoch, cursor.since, upto, last_id), more=True)
        return _page(rows, Cursor(cursor.epoch, upto), more=cursor.upto is not None)


async def _position(connection: Connection, cursor: Cursor | None) -> dict[str, Any]:
    """Return where the log stands. Raises a `Problem` for a cursor of another history, or of too long ago."""
    since = cursor.since if cursor else None
    (position,) = await (await connection.execute(QUERIES["feed_position"], {"since": since})).fetchall()
    if position["epoch"] is None:
        text = "The log cannot be relied on: the database was started a moment ago, or not everything is logged."
        raise Problem(503, text, headers={"Retry-After": "1"})
    if cursor and (cursor.epoch != _digest(position["epoch"]) or not position["is_past"]):
        raise unusable("The database was restored or started anew since: what happened meanwhile cannot be told.")
    if not position["is_kept"]:
        raise unusable("The history since was removed, for it is older than it is kept.")
    return position


def _ended(since: str, upto: str) -> str:
    """Return the transactions that were open at one snapshot and not at a later one, as an array.

    A snapshot is written xmin:xmax:open,open,... Given as a value, the planner knows how many there are.
    """
    open_then, open_still = (set(snapshot.split(":")[2].split(",")) for snapshot in (since, upto))
    return "{" + ",".join(open_then - open_still - {""}) + "}"


async def _is_set_before(ring: asyncio.Event, ends_at: float) -> bool:
    """Wait for the bell. A server that stops cancels who waits: the time is up then too, and there is an answer."""
    try:
        async with asyncio.timeout_at(ends_at):
            await ring.wait()
    except (TimeoutError, asyncio.CancelledError):
        return False
    return True


def _page(rows: list[dict[str, Any]], cursor: Cursor, *, more: bool) -> ChangePage:
    return ChangePage(changes=tuple(map(_change, rows)), cursor=str(cursor), more=more)


def _change(row: Mapping[str, Any]) -> StockChange:
    plain = ("id", "transaction", "operation", "item_id", "version", "at", "who", "how", "reason", "undoes")
    return StockChange(**{name: row[name] for name in plain}, before=_state(row, "before"), after=_state(row, "after"))


def _state(row: Mapping[str, Any], side: str) -> State | None:
    return State(**{field: row[f"{side}_{field}"] for field in FIELDS}) if row[f"{side}_name"] is not None else None


def _digest(epoch: str) -> str:
    return blake2b(epoch.encode(), digest_size=6).hexdigest()
