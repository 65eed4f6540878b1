"""Finding changes in the log: what to look for, and reading it page by page, however long the log is."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from webapp.postgres.pool import Pool
from webapp.postgres.statements import read
from webapp.stock.history import History, LoggedChange
from webapp.stock.items import MAX_ID
from webapp.stock.views import MAX_TEXT
from webapp.text import storable, trim, whole_number

PAGE_CHANGES = 50
EXPORTED_AT_A_TIME = 500
LOOKED_THROUGH = 100_000  # ids, for one page: no index knows names and people, and a page must not take for ever
ID_SLACK = 10_000  # changes that were written at the same time have ids and times in different orders
MAX_XID = 2**63 - 1
YEARS = range(1970, 9000)


@dataclass(frozen=True, slots=True)
class Search:
    """What changes are looked for, as typed: an item by its name or #id, people, sources, a transaction, days."""

    item: str = ""
    who: str = ""
    how: str = ""
    tx: str = ""
    since: str = ""
    until: str = ""
    before: int | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> tuple["Search", list[str]]:
        """Read a query string; what cannot be used is left out, and each time a sentence for the page says so."""
        texts = {name: trim(storable(query.get(name, "")))[:MAX_TEXT] for name in ("item", "who", "how")}
        complaints: list[str] = []
        days = {name: _day(query.get(key, ""), complaints) for name, key in (("since", "from"), ("until", "to"))}
        number = whole_number(query.get("tx", ""), MAX_XID)
        if query.get("tx") and number is None:
            complaints.append("There is no such transaction; all are shown.")
        before = whole_number(query.get("before", ""), MAX_ID)
        return cls(**texts, **days, tx=str(number or ""), before=before or None), complaints

    @property
    def query(self) -> str:
        """The canonical query string, of the first page."""
        values = {"item": self.item, "who": self.who, "how": self.how, "tx": self.tx}
        values |= {"from": self.since, "to": self.until}
        return urlencode({name: value for name, value in values.items() if value})

    def url(self, path: str = "/activity", before: int | None = None) -> str:
        """The address of a page, or of the whole as a file."""
        query = "&".join(filter(None, (self.query, f"before={before}" if before else "")))
        return f"{path}?{query}" if query else path

    def without_transaction(self) -> "Search":
        """Return the search among all transactions."""
        return replace(self, tx="", before=None)


@dataclass(frozen=True, slots=True)
class Found:
    """One page of changes. `older` is where the next one begins.

    `is_full`: whether it holds a whole page; otherwise the next one looks further back.
    """

    changes: tuple[LoggedChange, ...]
    older: int | None
    is_full: bool


class Log:
    """The log as one search goes through it."""

    def __init__(self, pool: Pool, history: History, search: Search, zone: ZoneInfo) -> None:
        self._pool = pool
        self._history = history
        self._search = search
        self._zone = zone
        self._wanted: dict[str, Any] = {}
        self._first, self._last = 0, 0

    async def open(self) -> None:
        """Find out where to look, and how the database spells what is looked for."""
        search = self._search
        since, until = _midnight(search.since, self._zone), _midnight(search.until, self._zone, days=1)
        by_id = whole_number(search.item.removeprefix("#"), MAX_ID) if search.item.startswith("#") else None
        texts = {"name": "" if by_id is not None else search.item, "who": search.who, "how": search.how}
        (folded,) = await read(self._pool, "folded_texts", **texts)
        self._wanted = {**folded, "xid": search.tx or None, "item_id": by_id, "since": since, "until": until}
        (ids,) = await read(self._pool, "change_ids")
        self._first = max(ids["first"] or 0, await self._id_at(since) - ID_SLACK if since else 0)
        self._last = min(ids["last"] or 0, await self._id_at(until) + ID_SLACK if until else MAX_ID)

    async def page(self, before: int | None, size: int = PAGE_CHANGES) -> Found:
        """Return the changes before one, None: the newest."""
        before = min(before or MAX_ID, self._last + 1)
        is_indexed = self._wanted["xid"] or self._wanted["item_id"] is not None
        from_id = self._first if is_indexed else max(self._first, before - LOOKED_THROUGH)
        changes = await self._history.found(self._wanted, from_id, before, size + 1)
        if len(changes) > size:
            return Found(changes[:size], changes[size - 1].id, is_full=True)
        return Found(changes, from_id if from_id > self._first else None, is_full=False)

    async def all(self) -> AsyncIterator[tuple[LoggedChange, ...]]:
        """Yield all changes, some at a time; at most that many are kept in memory."""
        before: int | None = MAX_ID
        while before:
            found = await self.page(before, EXPORTED_AT_A_TIME)
            before = found.older
            yield found.changes

    async def _id_at(self, at: datetime) -> int:
        (row,) = await read(self._pool, "id_at", at=at)
        return int(row["id"])


def _day(text: str, complaints: list[str]) -> str:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        day = None
    if text and (day is None or day.year not in YEARS):
        complaints.append("A day is written like 2026-03-31; all days are shown.")
        return ""
    return day.isoformat() if day else ""


def _midnight(day: str, zone: ZoneInfo, days: int = 0) -> datetime | None:
    return datetime.combine(date.fromisoformat(day) + timedelta(days), time(), zone) if day else None
