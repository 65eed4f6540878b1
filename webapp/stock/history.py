"""The history of the stock: its changes as people are told them, and the transactions they were made in."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from webapp.postgres.pool import Pool, fetch
from webapp.postgres.queries import filled
from webapp.postgres.statements import read
from webapp.stock.charts import Level
from webapp.stock.cover import RECENT_CHANGES, RECENT_DAYS, Consumption
from webapp.stock.items import FIELDS, MAX_ID
from webapp.stock.undo import UNDO_HOURS

COUNTED_CHANGES = 100_000
CHART_POINTS = 500
KEPT_TRANSACTIONS = 5_000

_LATEST, _OF_ITEM, _FOUND = (
    filled(name, columns="change_columns") for name in ("latest_changes", "changes_of_item", "changes_found")
)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One column of an item before and after; None where there was nothing."""

    name: str
    before: object
    after: object

    @property
    def label(self) -> str:
        """The column in words."""
        return "reorder level" if self.name == "reorder_level" else self.name


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one transaction did in all. `operation` is None if there were several, `name` is that of one item."""

    xid: str
    changes: int
    items: int
    operation: str | None
    name: str | None

    @property
    def is_larger(self) -> bool:
        """Whether there is more than was counted."""
        return self.changes >= COUNTED_CHANGES


@dataclass(frozen=True, slots=True)
class LoggedChange:
    """A change as people are told it; `transaction` is None where the change stood alone."""

    id: int
    xid: str
    operation: str
    item_id: int | None
    version: int | None
    name: str | None
    before_quantity: int | None
    after_quantity: int | None
    who: str
    how: str
    reason: str | None
    undoes: int | None
    at: datetime
    is_undone: bool
    is_old: bool
    is_in_bulk: bool
    fields: tuple[FieldChange, ...] = ()
    transaction: Transaction | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row with the columns of the query `change_columns`."""
        columns = cls.__slots__[: cls.__slots__.index("fields")]
        sides = ((field, row[f"before_{field}"], row[f"after_{field}"]) for field in FIELDS if field != "quantity")
        fields = tuple(FieldChange(*side) for side in sides if side[1] != side[2])
        return cls(**{column: row[column] for column in columns}, fields=fields)

    @property
    def can_undo(self) -> bool:
        """Whether it makes sense to offer it; whether it works is known when it is tried."""
        return not (self.is_undone or self.is_old or self.operation == "truncate" or self.is_elsewhere)

    @property
    def is_elsewhere(self) -> bool:
        """Whether nothing changed but columns of the shop's own, of which the log keeps nothing."""
        return self.operation == "update" and not self.fields and self.before_quantity == self.after_quantity


class History:
    """Reads the log for people. What a transaction did never changes, so it is counted once."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transactions: OrderedDict[tuple[int, str, datetime], Transaction] = OrderedDict()

    async def latest(self, limit: int) -> tuple[LoggedChange, ...]:
        """Return the newest change of each of the latest transactions, newest first."""
        return await self.with_transactions(await self._read(_LATEST, limit=limit))

    async def of_item(self, item_id: int, before: int | None, limit: int) -> tuple[LoggedChange, ...]:
        """Return an item's changes before a change, None: the newest, newest first."""
        changes = await self._read(_OF_ITEM, id=item_id, before=before or MAX_ID, limit=limit)
        return await self.with_transactions(changes)

    async def found(self, wanted: Mapping[str, Any], from_id: int, before: int, limit: int) -> tuple[LoggedChange, ...]:
        """Return the changes that a filter (parameters of `changes_found`) lets through, their transactions unknown."""
        return await self._read(_FOUND, **wanted, from_id=from_id, before=before, limit=limit)

    async def with_transactions(self, changes: Iterable[LoggedChange]) -> tuple[LoggedChange, ...]:
        """Return the changes, each with what its transaction did if it was more than that."""
        changes = tuple(changes)
        await self._count([change for change in changes if change.is_in_bulk])
        return tuple(replace(change, transaction=self._transactions.get(_key(change))) for change in changes)

    async def levels(self, item_id: int) -> tuple[Level, ...]:
        """Return an item's latest quantities in the order of time."""
        rows = await read(self._pool, "quantities_of_item", id=item_id, limit=CHART_POINTS)
        return tuple(Level(row["at"], row["quantity"]) for row in reversed(rows))

    async def consumption(self, item_id: int) -> Consumption:
        """Return how many of an item were taken lately."""
        wanted = {"days": RECENT_DAYS, "changes": RECENT_CHANGES}
        (row,) = await read(self._pool, "consumption_of_item", id=item_id, **wanted)
        return Consumption.since(row["since"], int(row["consumed"]))

    async def _read(self, query: Any, **parameters: Any) -> tuple[LoggedChange, ...]:
        rows = await fetch(self._pool, query, {**parameters, "undo_hours": UNDO_HOURS})
        return tuple(map(LoggedChange.from_row, rows))

    async def _count(self, changes: list[LoggedChange]) -> None:
        """Learn what the transactions of these changes did, as far as it is not known."""
        unknown = [change for change in changes if _key(change) not in self._transactions]
        if unknown:
            xids = list({change.xid for change in unknown})
            rows = await read(self._pool, "transactions", xids=xids, most=COUNTED_CHANGES)
            self._keep(unknown, {row["xid"]: Transaction(**row) for row in rows})

    def _keep(self, changes: Iterable[LoggedChange], transactions: Mapping[str, Transaction]) -> None:
        for change in changes:
            if change.xid in transactions:
                self._transactions[_key(change)] = transactions[change.xid]
        while len(self._transactions) > KEPT_TRANSACTIONS:
            self._transactions.popitem(last=False)


def _key(change: LoggedChange) -> tuple[int, str, datetime]:
    """A restored cluster uses transaction and change ids again, but not at the same time."""
    return change.id, change.xid, change.at
