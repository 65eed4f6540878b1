"""Whether an item matches a filter, decided here exactly as the database decides it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

from webapp.live.changes import Change, Changes, ItemState
from webapp.postgres.pool import Pool
from webapp.postgres.statements import read
from webapp.stock.views import ALL_ITEMS, Filter

_ESCAPED = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


@dataclass(frozen=True, slots=True)
class Matcher:
    """A filter and its search text as the database folds it; the query `matches` decides the same of a row."""

    filter: Filter
    needle: str

    @classmethod
    async def of(cls, wanted: Filter, pool: Pool) -> Self:
        """Let the database fold the search text."""
        rows = await read(pool, "fold", text=wanted.q) if wanted.q else [{"folded": ""}]
        return cls(wanted, rows[0]["folded"])

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters of the query `matches`; the pattern finds exactly the texts that contain the needle."""
        pattern = f"%{self.needle.translate(_ESCAPED)}%"
        wanted = {"location": self.filter.location, "low": self.filter.low}
        return {"needle": self.needle, "pattern": pattern, **wanted, "ids": None}

    def seen(self, changes: Changes) -> tuple[Change, ...]:
        """Return changes as one who sees only matching items sees them: some as an insert or a delete, most not."""
        if self.filter == ALL_ITEMS:
            return changes.changes
        return tuple(filter(None, map(self._narrowed, self._candidates(changes))))

    def _candidates(self, changes: Changes) -> Collection[Change]:
        """Leave out soon what cannot match; many filters look at many changes."""
        if None in changes.item_ids:
            return changes.changes
        if self.needle not in changes.searchable or (self.filter.low and not changes.has_low):
            return ()
        return changes.by_location.get(self.filter.location, ()) if self.filter.location else changes.changes

    def _narrowed(self, change: Change) -> Change | None:
        if change.item_id is None:
            return change
        before, after = self._seen(change.before), self._seen(change.after)
        if before is change.before and after is change.after:
            return change
        if before is None and after is None:
            return None
        return Change(change.id, change.xid, change.operation, change.item_id, before, after)

    def _seen(self, state: ItemState | None) -> ItemState | None:
        if state is None or self.needle not in state.searchable:
            return None
        if self.filter.location and state.location != self.filter.location:
            return None
        return state if state.is_low or not self.filter.low else None
