"""What a value may be in JSON: types with their bounds, of which the models are made."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from webapp.stock.items import MAX_QUANTITY
from webapp.stock.views import SORTS
from webapp.text import WHITE_SPACE, trim

PLAIN = r"^[^\x00]*$"  # PostgreSQL's text holds every character but NUL
_BLANK = r"\x00" + "".join(f"\\u{ord(character):04x}" for character in WHITE_SPACE)
VISIBLE = rf"^[^\x00]*[^{_BLANK}][^\x00]*$"
CURSOR = r"^[A-Za-z0-9_-]+$"
BIGINT = {"format": "int64", "maximum": MAX_QUANTITY}

Id = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, **BIGINT})]
Version = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, **BIGINT})]
Stock = Annotated[int, WithJsonSchema({"type": "integer", "minimum": 0, **BIGINT})]


def _or_none(text: str) -> str | None:
    return trim(text) or None


def _whole(value: object) -> object:
    """Take 3.0 for 3, as JSON Schema does; a float beyond 2^53 may have lost digits already."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53 else value


_Whole = Field(ge=0, le=MAX_QUANTITY, json_schema_extra={"format": "int64"})
Quantity = Annotated[int, _Whole, BeforeValidator(_whole)]
Count = Annotated[int, Field(ge=1, le=MAX_QUANTITY, json_schema_extra={"format": "int64"}), BeforeValidator(_whole)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=VISIBLE), AfterValidator(trim)]
Code = Annotated[str, Field(min_length=1, max_length=64, pattern=VISIBLE), AfterValidator(trim)]
Unit = Annotated[str, Field(max_length=40, pattern=PLAIN), AfterValidator(_or_none)]
Location = Annotated[str, Field(max_length=200, pattern=PLAIN), AfterValidator(_or_none)]
Reason = Annotated[str, Field(max_length=500, pattern=PLAIN, description="Why; the history shows it.")]
ORDERS = [sign + column for column in SORTS for sign in ("", "-")]
Sort = Annotated[str, Field(pattern=f"^({'|'.join(ORDERS)})$", json_schema_extra={"enum": list[Any](ORDERS)})]
