"""The rows of a file that is to be imported: which column means what, and what each cell says, or why it cannot."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from webapp.files.csv_files import UnreadableFile, records, unguard
from webapp.stock.forms import TEXT_LIMITS
from webapp.stock.items import MAX_QUANTITY
from webapp.text import storable, trim, whole_number

SYNONYMS = {
    "code": "code sku barcode partnumber partno ean upc",
    "name": "name item itemname product productname article",
    "quantity": "quantity qty stock count amount onhand",
    "delta": "delta change adjustment",
    "unit": "unit units uom",
    "location": "location place shelf bin",
    "reorder_level": "reorderlevel reorderat reorderpoint minimum min",
}
MAX_UNUSED = 20
_MEANINGS = {synonym: column for column, synonyms in SYNONYMS.items() for synonym in synonyms.split()}
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}([,.'’ \u00a0\u202f][0-9]{3})+")  # noqa: RUF001 - Swiss and French ones
_DECIMALS = re.compile(r"[+-]?[0-9]*[.,][0-9]+")
_ROUNDED = re.compile(r"[0-9]([.,][0-9]+)?E\+[0-9]+")  # as spreadsheets show long barcodes


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row cannot be imported: its line, the column's name ("" for the whole row), and a sentence."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}{', ' * bool(self.column)}{self.column}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be read; of columns that the file does not have the value is None."""

    line: int
    code: str | None = None
    name: str | None = None
    quantity: int | None = None
    delta: int | None = None
    unit: str | None = None
    location: str | None = None
    reorder_level: int | None = None


class BadCell(Exception):
    """A cell that cannot be read; the text is a sentence."""


class Sheet:
    """A file's table. `columns` are the meanings of its columns, `unused` the first names of those that have none."""

    def __init__(self, file: IO[bytes], encoding: str | None = None) -> None:
        self._records = records(file, _known, encoding)
        header = next(self._records, None)
        if header is None:
            raise UnreadableFile("The file is empty.")
        self._header = header.cells
        self._meanings = [_meaning(name) for name in header.cells]
        self.columns = [meaning for meaning in self._meanings if meaning]
        unused = (trim(storable(name)) for name in header.cells if not _meaning(name))
        self.unused = list(filter(None, unused))[:MAX_UNUSED]
        self._check(header.line)

    def rows(self) -> Iterator[Row | Problem]:
        """Yield what each row says. Raises `UnreadableFile` where the rest cannot be read."""
        for record in self._records:
            yield self._row(record.line, record.cells)

    def _row(self, line: int, cells: list[str]) -> Row | Problem:
        if cells == self._header:
            return Problem(line, "", "This is the header again; leave it out.")
        width = len(self._header)
        if len(cells) < width or any(map(trim, cells[width:])):
            return Problem(
                line, "", f"{len(cells)} cells, but the header has {width}. Is a delimiter missing, or a quote?"
            )
        values: dict[str, Any] = {}
        for column, name, cell in zip(self._meanings, self._header, cells, strict=False):
            if column:
                try:
                    values[column] = _value(column, cell)
                except BadCell as bad:
                    return Problem(line, trim(name), str(bad))
        if not (values.get("name") or values.get("code")):
            return Problem(line, "", "There is neither a name nor a code.")
        return Row(line, **values)

    def _check(self, line: int) -> None:
        for column in self.columns:
            if self.columns.count(column) > 1:
                twice = " and ".join(f"“{trim(n)}”" for n in self._header if _meaning(n) == column)
                raise UnreadableFile(f"Two columns mean the {column.replace('_', ' ')}: {twice}.", line)
        if not {"name", "code"} & set(self.columns):
            read = ", ".join(map(trim, self._header))[:100]
            raise UnreadableFile(f"This line must name the columns, such as: name,quantity. It says: {read}", line)
        if {"quantity", "delta"} <= set(self.columns):
            raise UnreadableFile("One column is the quantity and one its change: remove one of them.", line)


def _known(header: list[str]) -> int:
    return sum(_meaning(name) is not None for name in header)


def _meaning(name: str) -> str | None:
    """Return what a column means; case, spaces and punctuation do not count."""
    return _MEANINGS.get(re.sub(r"[\W_]+", "", name.casefold()))


def _value(column: str, cell: str) -> str | int | None:
    match column:
        case "quantity":
            return _count(trim(cell))
        case "delta":
            return _delta(trim(cell))
        case "reorder_level":
            return _count(trim(cell)) if trim(cell) else None
        case _:
            return _text(column, trim(unguard(cell)))


def _text(column: str, text: str) -> str | None:
    if storable(text) != text:
        raise BadCell("There is a character that cannot be stored.")
    if len(text) > TEXT_LIMITS[column]:
        raise BadCell(f"{len(text)} characters; the limit is {TEXT_LIMITS[column]}.")
    if column == "name" and not text:
        raise BadCell("The name is missing.")
    if column == "code" and _ROUNDED.fullmatch(text):
        raise BadCell(f"“{text}” is a number that a spreadsheet has rounded: format the column as text.")
    return text or None


def _delta(text: str) -> int:
    """Read a change: with a sign, of which the typographer's minus is one too, or without."""
    text = text.replace("\N{MINUS SIGN}", "-")
    count = _count(text.removeprefix("-") if text.startswith("-") else text.removeprefix("+"))
    return -count if text.startswith("-") else count


def _count(text: str) -> int:
    number = whole_number(text, MAX_QUANTITY)
    if number is None:
        raise BadCell(_why_no_count(text))
    return number


def _why_no_count(text: str) -> str:
    shown = f"“{text[:40]}”"
    if not text:
        return "The number is missing; 0 will do."
    if _THOUSANDS.fullmatch(text):
        return f"{shown} may be thousands or a fraction: write whole units without separators."
    if _DECIMALS.fullmatch(text):
        return f"{shown} is a fraction: whole units only."
    if text.isascii() and text.isdigit():
        return f"The number is larger than {MAX_QUANTITY}."
    if text.startswith("-") and text[1:].isdigit():
        return f"{shown} is below 0."
    return f"{shown} is not a whole number."
