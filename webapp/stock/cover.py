"""How long the stock lasts, from what was taken lately."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

RECENT_DAYS = 30
RECENT_CHANGES = 5_000  # of an item; a busier one is judged by a shorter time
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Consumption:
    """How many were taken within a number of days, from 1 to 30."""

    consumed: int
    days: int

    @classmethod
    def since(cls, at: datetime | None, consumed: int) -> Self:
        """Count the days from the first change that was looked at; None: there was no change."""
        passed_s = (datetime.now(UTC) - at).total_seconds() if at else RECENT_DAYS * _DAY_S
        return cls(consumed, min(RECENT_DAYS, max(1, -int(-passed_s // _DAY_S))))

    def days_for(self, quantity: int) -> int | None:
        """Return in how many whole days a quantity is used up at this rate; None: nothing was taken."""
        return quantity * self.days // self.consumed if self.consumed else None


@dataclass(frozen=True, slots=True)
class Cover:
    """How long a quantity lasts; both in whole days, None where nothing is taken or there is no reorder level."""

    recent: Consumption
    days: int | None
    days_to_reorder: int | None

    @classmethod
    def of(cls, quantity: int, reorder_level: int | None, recent: Consumption) -> Self:
        """Look forward from what was taken lately."""
        above = None if reorder_level is None else max(0, quantity - reorder_level)
        return cls(recent, recent.days_for(quantity), None if above is None else recent.days_for(above))
