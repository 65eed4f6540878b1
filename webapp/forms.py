"""What people type, read into values or into a sentence beside each field; what was typed is never lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import FormData

from webapp.inventory import MAX_QUANTITY, NameTaken, NewItem, Refused, StockError

# The same characters as inventory_trim() in the database takes off; a test compares the two.
WHITE_SPACE = " \t\n\r\f\v\u0085\u00a0\u1680\u180e" + "".join(map(chr, range(0x2000, 0x200E)))
WHITE_SPACE += "\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
TEXT_LIMITS = {"name": 200, "unit": 40, "location": 200}
LABELS = {"name": "The name", "unit": "The unit", "location": "The location"}
LABELS |= {"quantity": "The quantity", "reorder_level": "The reorder level"}


@dataclass
class ItemForm:
    """The form for a new item: `values` as typed, `errors` by field ("" for the whole form), `saved` the name added."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    saved: str | None = None
    item: NewItem | None = None

    @classmethod
    def read(cls, data: FormData | Mapping[str, object]) -> "ItemForm":
        """Read what was posted; `item` is set when there are no errors."""
        form = cls(values={name: _typed(data.get(name)) for name in LABELS})
        name, unit, location = (form._text(field) for field in TEXT_LIMITS)
        quantity, reorder_level = (form._number(field) for field in ("quantity", "reorder_level"))
        if name is None:
            form.errors.setdefault("name", "Give the item a name.")
        if quantity is None:
            form.errors.setdefault("quantity", "Say how many there are; 0 will do.")
        if not form.errors and name is not None and quantity is not None:
            form.item = NewItem(name, quantity, unit, location, reorder_level)
        return form

    def refuse(self, error: StockError) -> None:
        """Put what the database said beside the field it is about."""
        self.errors[_field_of(error)] = str(error)

    def _text(self, name: str) -> str | None:
        text = self.values[name].strip(WHITE_SPACE)
        if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
            self.errors[name] = f"{LABELS[name]} has characters that cannot be stored."
        elif len(text) > TEXT_LIMITS[name]:
            self.errors[name] = f"{LABELS[name]} has {len(text)} characters; {TEXT_LIMITS[name]} are the most."
        return text or None

    def _number(self, name: str) -> int | None:
        text = self.values[name].strip(WHITE_SPACE)
        number = whole_number(text)
        if text and number is None:
            self.errors[name] = f"{LABELS[name]} is a whole number from 0 to {MAX_QUANTITY}."
        return number


def whole_number(text: str) -> int | None:
    """Read a whole number that the database can hold, None if it is not one."""
    if not (text.isascii() and text.isdigit()) or len(text.lstrip("0")) > len(str(MAX_QUANTITY)):
        return None
    number = int(text)
    return number if number <= MAX_QUANTITY else None


def _typed(value: object) -> str:
    return value if isinstance(value, str) else ""


def _field_of(error: StockError) -> str:
    if isinstance(error, NameTaken):
        return "name"
    if isinstance(error, Refused):
        return next((name for name in LABELS if error.constraint.startswith(f"inventory_{name}_")), "")
    return ""
