"""What programs send and get, as JSON: the models of which the OpenAPI document is made."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from webapp.api.values import (
    CURSOR,
    PLAIN,
    Code,
    Count,
    Id,
    Location,
    Name,
    Quantity,
    Reason,
    Sort,
    Stock,
    Unit,
    Version,
)
from webapp.stock.items import FIELDS, Item, NewItem

_LEFT_OUT: Any = Field(default_factory=type(None))  # a factory, so that the document speaks of no default


class Sent(BaseModel):
    """What a program sends: nothing is guessed or converted, and nothing unknown is overlooked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Got(BaseModel):
    """What a program gets."""

    model_config = ConfigDict(frozen=True)


class ItemToAdd(Sent):
    """A new item; white space around texts is taken off, and a unit or location of nothing else is none."""

    name: Name
    quantity: Quantity
    unit: Unit | None = None
    location: Location | None = None
    reorder_level: Quantity | None = None
    code: Code | None = None
    reason: Reason | None = None

    def item(self) -> NewItem:
        """Return the item as the inventory takes it."""
        return NewItem(**{field: getattr(self, field) for field in FIELDS})


class ItemEdits(Sent):
    """The fields to set; those left out stay, and null empties those that may be empty."""

    name: Name = _LEFT_OUT
    quantity: Quantity = _LEFT_OUT
    unit: Unit | None = _LEFT_OUT
    location: Location | None = _LEFT_OUT
    reorder_level: Quantity | None = _LEFT_OUT
    code: Code | None = _LEFT_OUT
    reason: Reason | None = None

    def edits(self) -> dict[str, Any]:
        """Return what was sent, by field."""
        return {field: getattr(self, field) for field in FIELDS if field in self.model_fields_set}


class Movement(Sent):
    """How many are taken or put."""

    by: Count
    reason: Reason | None = None


class Counted(Sent):
    """How many were counted."""

    quantity: Quantity
    reason: Reason | None = None


class StockItem(Got):
    """An item. `version` counts its changes and is its entity tag; `low` says that the reorder level is reached."""

    id: Id
    name: str
    quantity: Stock
    unit: str | None
    location: str | None
    reorder_level: Stock | None
    code: str | None
    version: Version
    updated_at: datetime
    low: bool

    @classmethod
    def of(cls, item: Item) -> Self:
        """Return what programs get of an item."""
        values = {field: getattr(item, field) for field in (*FIELDS, "id", "version")}
        return cls(**values, updated_at=item.updated_at.astimezone(UTC), low=item.is_low)


class ItemPage(Got):
    """Items in the order asked for, and the address of those that follow; null: these were the last."""

    items: tuple[StockItem, ...]
    next: str | None


class State(Got):
    """An item's fields on one side of a change."""

    name: str
    quantity: Stock
    unit: str | None
    location: str | None
    reorder_level: Stock | None
    code: str | None


class StockChange(Got):
    """A committed change. `before` is null for an insert, `after` for a delete; a truncate empties the inventory."""

    id: Id
    operation: Literal["insert", "update", "delete", "truncate"]
    item_id: Id | None
    version: Version | None
    before: State | None
    after: State | None
    at: datetime
    who: str
    how: str
    reason: str | None
    undoes: Id | None
    transaction: Annotated[str, Field(description="The same for all changes of a transaction.")]


class ChangePage(Got):
    """Changes, and the cursor to ask with next; `more`: further ones wait already."""

    changes: tuple[StockChange, ...]
    cursor: Annotated[str, Field(pattern=CURSOR)]
    more: bool


class ProblemDetails(Got):
    """What went wrong (RFC 9457). Some types have members of their own, such as `available` or `errors`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str


class ListQuery(Sent):
    """Which items, in which order, and how many at once."""

    model_config = ConfigDict(strict=False)

    q: Annotated[str, Field(max_length=200, pattern=PLAIN, description="Part of a name or code, in any case.")] = ""
    sort: Annotated[Sort, Field(description="The column to sort by; `-` turns the order round.")] = "name"
    low: Annotated[Literal["0", "1"], Field(description="1: only items at or below their reorder level.")] = "0"
    location: Annotated[str, Field(max_length=200, pattern=PLAIN, description="Only items at this location.")] = ""
    limit: Annotated[int, Field(ge=1, le=500, description="How many at most.")] = 50
    cursor: Annotated[
        str | None, Field(max_length=4000, pattern=CURSOR, description="Where to go on; take it from `next`.")
    ] = None


class FeedQuery(Sent):
    """From where on, how many at once, and how long to wait for the first."""

    model_config = ConfigDict(strict=False)

    after: Annotated[
        str | None, Field(max_length=20_000, pattern=CURSOR, description="The last `cursor`; without: from now on.")
    ] = None
    wait: Annotated[int, Field(ge=0, le=30, description="Seconds to wait if there is nothing yet.")] = 0
    limit: Annotated[int, Field(ge=1, le=1000, description="How many at most.")] = 100
