"""CSV as people and spreadsheets write it, row by row with line numbers; and written so that both can read it."""

import csv
import io
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO

from webapp.text import WHITE_SPACE

MAX_LINE = 1_000_000  # characters; a file without line ends must not fill the memory
DELIMITERS = (",", ";", "\t")
BOM = BOM_UTF8.decode()
SAVE_AS = "Save it as “CSV UTF-8”, so that every letter arrives as it is."
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # what `surrogateescape` makes of bytes that are not UTF-8
_SEPARATOR_LINE = re.compile(r'sep=([^"\r\n])[\r\n]*')
# A spreadsheet takes a cell for a formula by its first character, also after white space or in its wide form. Cells
# that begin with apostrophes before one are guarded as well, so that taking one apostrophe off is always right.
_FORMULA = re.compile(rf"[{WHITE_SPACE}']*[=+\-@＝＋－＠]|'*[\t\r\n]")  # noqa: RUF001 - the wide forms are meant


@dataclass
class UnreadableFile(Exception):
    """A file that cannot be read as a table; `reason` is a sentence, `line` counts from 1, 0 is the whole file."""

    reason: str
    line: int = 0

    def __str__(self) -> str:
        return f"Line {self.line}: {self.reason}" if self.line else self.reason


@dataclass(frozen=True, slots=True)
class Record:
    """One row of cells, and the line it begins on."""

    line: int
    cells: list[str]


def guard(text: str) -> str:
    """Make sure that no spreadsheet takes the text for a formula: an apostrophe before it says that it is text."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguard(text: str) -> str:
    """Take off what `guard` put on."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def to_csv(rows: Iterable[Sequence[object]]) -> str:
    """Write rows as RFC 4180 says; the cells that are text are guarded."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([guard(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def records(file: IO[bytes], score: Callable[[list[str]], int], encoding: str | None = None) -> Iterator[Record]:
    """Yield the rows of a file that are not blank; its delimiter is the one by which the first row scores highest.

    Without an `encoding` it is UTF-8, or UTF-16 with a byte order mark: what else it may be could only be guessed.
    Raises `UnreadableFile`, also after rows were yielded.
    """
    lines = _lines(file, encoding or _encoding(file))
    first = next(lines, "")
    skipped = 0
    while first and not first.strip(WHITE_SPACE):
        first, skipped = next(lines, ""), skipped + 1
    if separator := _SEPARATOR_LINE.fullmatch(first):  # as Excel writes it and understands it
        delimiter, first, skipped = separator[1], next(lines, ""), skipped + 1
    else:
        delimiter = max(DELIMITERS, key=lambda candidate: score(next(csv.reader([first], delimiter=candidate), [])))
    yield from _rows(chain([first], lines), delimiter, skipped)


def _rows(lines: Iterator[str], delimiter: str, skipped: int) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            reason = "The quotation marks do not match: a quoted cell ends with one, and has two for each inside."
            raise UnreadableFile(reason, line) from error
        if cells is None:
            return
        if any(cell.strip(WHITE_SPACE) for cell in cells):
            yield Record(line, cells)


def _lines(file: IO[bytes], encoding: str) -> Iterator[str]:
    """Yield lines with their ends, LF, CR or CRLF."""
    is_utf8 = encoding == "utf-8-sig"
    text = io.TextIOWrapper(file, encoding, "surrogateescape" if is_utf8 else "strict", newline="")
    number = 0
    try:
        while line := text.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE:
                raise UnreadableFile(f"This line has more than {MAX_LINE} characters.", number)
            if is_utf8 and not line.isascii() and _HALF_CHARACTER.search(line):
                raise UnreadableFile(f"This line is not UTF-8. {SAVE_AS}", number)
            yield line
    except UnicodeError as error:
        raise UnreadableFile(f"The file is not {encoding} from about line {number + 1} on. {SAVE_AS}") from error
    finally:
        if not file.closed:
            text.detach()  # it is for whoever opened the file to close it


def _encoding(file: IO[bytes]) -> str:
    start = file.read(8)
    file.seek(0)
    if not start:
        raise UnreadableFile("The file is empty.")
    if start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UnreadableFile("This is a workbook or an archive, not CSV. Open it, and save the sheet as “CSV UTF-8”.")
    if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in start[:4]:  # every second byte of UTF-16 is one
        raise UnreadableFile(f"The file is not UTF-8. {SAVE_AS}")
    return "utf-8-sig"
