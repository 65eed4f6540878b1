"""What people type, read into values or into a sentence beside each field; what was typed is never lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

from webapp.stock.items import (
    FIELDS,
    MAX_QUANTITY,
    Author,
    CodeTaken,
    EditConflict,
    Item,
    NameTaken,
    NewItem,
    Refused,
    Seen,
    StockError,
)
from webapp.text import storable, trim, whole_number

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 100
MAX_REASON = 500
PAGE = Author(source="page")
TEXT_LIMITS = {"name": 200, "unit": 40, "location": 200, "code": 64}
LIMITS = TEXT_LIMITS | {"quantity": 20, "reorder_level": 20, "reason": MAX_REASON}
LABELS = {"name": "The name", "unit": "The unit", "location": "The location", "code": "The code"}
LABELS |= {"quantity": "The quantity", "reorder_level": "The reorder level"}


async def read_fields(request: Request) -> dict[str, str]:
    """Read what a form posted; of fields that come twice the last counts. Nothing posted is an empty form.

    Only the one encoding that plain forms have: what a body of another kind means could only be guessed.
    """
    body = await request.body()
    sent_as = request.headers.get("content-type", FORM_TYPE).partition(";")[0].strip().lower()
    if sent_as != FORM_TYPE and body:
        raise HTTPException(415, f"This address takes forms, sent as {FORM_TYPE}.")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError as error:
        raise HTTPException(400, "The text of this form is not UTF-8.") from error
    except ValueError as error:
        raise HTTPException(400, f"This form has too many fields: the limit is {MAX_FIELDS}.") from error
    return dict(fields)


class BadCount(StockError):
    """What should say how many is not a whole number from 1 on."""

    def __str__(self) -> str:
        return f"How many? A whole number from 1 to {MAX_QUANTITY}."


class BadReason(StockError):
    """A reason that the history cannot hold."""

    def __str__(self) -> str:
        return f"The reason is a line of at most {MAX_REASON} characters."


def author_of(fields: Mapping[str, str]) -> Author:
    """Return who posted a form, with the reason if one was given. Raises `BadReason`."""
    reason = trim(fields.get("reason", ""))
    if len(reason) > MAX_REASON or storable(reason) != reason:
        raise BadReason
    return replace(PAGE, reason=reason or None)


def count_in(fields: Mapping[str, str]) -> int:
    """Return how many are to be taken or put, 1 where nothing is said. Raises `BadCount`."""
    count = whole_number(trim(fields.get("by", "1")), MAX_QUANTITY)
    if not count:
        raise BadCount
    return count


@dataclass
class ItemForm:
    """The form for a new item: `values` as typed, `errors` by field ("" for the whole form), `saved` the name added."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    saved: str | None = None
    item: NewItem | None = None
    limits: ClassVar[Mapping[str, int]] = LIMITS

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self:
        """Read what was posted; `item` is set when there are no errors."""
        form = cls(values={name: fields.get(name, "") for name in LABELS})
        name, unit, location, code = (form._text(field) for field in TEXT_LIMITS)
        quantity, reorder_level = (form._number(field) for field in ("quantity", "reorder_level"))
        if name is None:
            form.errors.setdefault("name", "Give the item a name.")
        if quantity is None:
            form.errors.setdefault("quantity", "Say how many there are; 0 will do.")
        if not form.errors and name is not None and quantity is not None:
            form.item = NewItem(name, quantity, unit, location, reorder_level, code)
        return form

    @property
    def focus(self) -> str | None:
        """The field to go on with: the first that is wrong, or the first of all after a success."""
        first_wrong = next((name for name in FIELDS if name in self.errors), None)
        return first_wrong or ("name" if self.saved is not None else None)

    def refuse(self, error: StockError) -> None:
        """Put what the database said beside the field it is about."""
        self.errors[_field_of(error)] = str(error)

    def _text(self, name: str) -> str | None:
        text = trim(self.values[name])
        if storable(text) != text:
            self.errors[name] = f"{LABELS[name]} has characters that cannot be stored."
        elif len(text) > TEXT_LIMITS[name]:
            self.errors[name] = f"{LABELS[name]} has {len(text)} characters; the limit is {TEXT_LIMITS[name]}."
        return text or None

    def _number(self, name: str) -> int | None:
        text = trim(self.values[name])
        number = whole_number(text, MAX_QUANTITY)
        if text and number is None:
            is_too_large = text.isascii() and text.isdigit()
            range_ = f"at most {MAX_QUANTITY}" if is_too_large else "a whole number, 0 or more"
            self.errors[name] = f"{LABELS[name]} is {range_}."
        return number


@dataclass
class EditForm(ItemForm):
    """The form for an item that is there: `seen` is what was looked at, `conflict` what came between."""

    seen: Seen = field(default=Seen(0))
    reason: str = ""
    conflict: EditConflict | None = None

    @classmethod
    def of_item(cls, item: Item) -> Self:
        """Show an item's values."""
        return cls(values=_typed(item), seen=Seen(item.version, item.updated_at))

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self:
        """Read what was posted."""
        form = super().read(fields)
        version = whole_number(fields.get("version", ""), MAX_QUANTITY) or 0
        form.seen = Seen(version, _moment(fields.get("seen_at", "")))
        form.reason = fields.get("reason", "")
        return form

    @property
    def edits(self) -> dict[str, Any]:
        """Value by field, for all fields of the form."""
        return {name: getattr(self.item, name) for name in FIELDS}

    def meet(self, conflict: EditConflict) -> None:
        """Show the item as it is now with what was edited; sent once more, that goes over what the other did."""
        edited = {name: self.values[name] for name in conflict.mine}
        self.values = {**_typed(conflict.theirs), **edited}
        self.seen, self.conflict = Seen(conflict.theirs.version, conflict.theirs.updated_at), conflict


def _typed(item: Item) -> dict[str, str]:
    values = {name: getattr(item, name) for name in FIELDS}
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _field_of(error: StockError) -> str:
    if isinstance(error, NameTaken):
        return "name"
    if isinstance(error, CodeTaken):
        return "code"
    if isinstance(error, Refused):
        return next((name for name in LABELS if error.constraint.startswith(f"inventory_{name}_")), "")
    return ""
