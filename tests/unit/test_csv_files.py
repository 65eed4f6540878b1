import csv
import io
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webapp.files.csv_files import MAX_LINE, UnreadableFile, guard, records, to_csv, unguard
from webapp.text import trim

TEXTS = st.text(st.one_of(st.sampled_from("=+-@'\"\t\r\n ;,\u00a0\ufeff＝a"), st.characters(exclude_categories=["Cs"])))
ROWS = st.lists(st.lists(TEXTS, min_size=2, max_size=4), min_size=1)


def read(data: bytes, encoding: str | None = None) -> list[list[str]]:
    return [record.cells for record in records(io.BytesIO(data), len, encoding)]


def refusal(data: bytes, encoding: str | None = None) -> str:
    with pytest.raises(UnreadableFile) as error:
        read(data, encoding)
    return str(error.value)


@given(TEXTS)
@example("'=1+1")
@example("''\t")
def test_what_is_guarded_comes_back_as_it_was_and_is_no_formula(text: str) -> None:
    guarded = guard(text)
    assert unguard(guarded) == text
    assert not guarded.lstrip().startswith(tuple("=+-@＝＋－＠"))
    assert not guarded.startswith(("\t", "\r"))


@pytest.mark.parametrize("harmless", ["apples", "a=b", "'quoted'", "3 - 4", "o'clock", ""])
def test_harmless_text_is_written_as_it_is(harmless: str) -> None:
    assert guard(harmless) == unguard(harmless) == harmless


@given(ROWS)
def test_what_is_written_is_read_again_by_us_and_by_any_reader(rows: list[list[str]]) -> None:
    rows = [["code", "name"], *rows]
    text = to_csv(rows)
    not_blank = [row for row in rows if any(trim(guard(cell)) for cell in row)]
    assert [list(map(unguard, row)) for row in read(text.encode())] == not_blank
    assert list(csv.reader(io.StringIO(text, newline=""))) == [list(map(guard, row)) for row in rows]


def test_numbers_are_not_guarded() -> None:
    assert to_csv([["-1", -1, None]]) == "'-1,-1,\r\n"


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with suppress(UnreadableFile):
        read(data)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_line_ends_delimiters_and_byte_order_marks_are_found_out(end: str, encoding: str, delimiter: str) -> None:
    lines = [("name", "qty"), ("Äpfel 🍏", "3"), ('"two\nlines"', "4")]
    text = end.join(delimiter.join(line) for line in lines)
    assert read(text.encode(encoding)) == [["name", "qty"], ["Äpfel 🍏", "3"], ["two\nlines", "4"]]


def test_rows_are_known_by_the_line_they_begin_on() -> None:
    data = b'sep=;\nname;qty\n"a\nb\nc";1\n\n ; \nd;2'
    assert [(record.line, record.cells[0]) for record in records(io.BytesIO(data), len)] == [
        (2, "name"),
        (3, "a\nb\nc"),
        (8, "d"),
    ]


@pytest.mark.parametrize("data", [b'sep="\nname\n', b"sep=\r\nname\n"])
def test_what_can_be_no_delimiter_is_no_line_that_names_one(data: bytes) -> None:
    assert read(data) == [[data.decode().split()[0]], ["name"]]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty"),
        (b"name\nM\xfcller\n", "Line 2: This line is not UTF-8. Save it as “CSV UTF-8”"),
        ("name\nMüller\n".encode("utf-16-le"), "not UTF-8"),
        ("name\n".encode("utf-16") + b"\x00", "The file is not utf-16"),
        (b"PK\x03\x04....", "a workbook or an archive"),
        (b'name\n"open\nand never closed', "Line 2: The quotation marks do not match"),
        (b'name\na\n"5" pipe\n', "Line 3: The quotation marks do not match"),
        (b"name\n" + b"x" * MAX_LINE, f"Line 2: This line has more than {MAX_LINE} characters"),
    ],
)
def test_what_cannot_be_read_for_sure_is_refused_in_a_clear_word(data: bytes, sentence: str) -> None:
    assert sentence in refusal(data)


def test_an_encoding_that_somebody_vouches_for_is_taken() -> None:
    assert read("name\nMüller".encode("cp1252"), "windows-1252") == [["name"], ["Müller"]]
    assert "The file is not windows-1252" in refusal(b"name\n\x81", "windows-1252")


def test_a_quotation_mark_inside_a_cell_is_a_mark_of_inches() -> None:
    assert read(b'name\npipe 5"\n') == [["name"], ['pipe 5"']]
