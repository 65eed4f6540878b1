import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.files.csv_files import UnreadableFile
from webapp.files.rows import SYNONYMS, Problem, Row, Sheet
from webapp.stock.items import MAX_QUANTITY


def rows(text: str) -> list[Row | Problem]:
    return list(Sheet(io.BytesIO(text.encode())).rows())


def problem(text: str) -> str:
    (found,) = rows(text)
    assert isinstance(found, Problem), found
    return str(found)


def refusal(text: str) -> str:
    with pytest.raises(UnreadableFile) as error:
        Sheet(io.BytesIO(text.encode()))
    return str(error.value)


@pytest.mark.parametrize(("column", "names"), SYNONYMS.items())
def test_columns_are_known_by_many_names(column: str, names: str) -> None:
    other = "name" if column != "name" else "code"
    for name in names.split():
        assert Sheet(io.BytesIO(f"{other},{name}".encode())).columns == [other, column]


def test_case_spaces_and_punctuation_of_a_heading_do_not_count() -> None:
    sheet = Sheet(io.BytesIO(b" Part-Number ;ITEM;Reorder  at;U.o.M.;Price;;"))
    assert sheet.columns == ["code", "name", "reorder_level", "unit"]
    assert sheet.unused == ["Price"]


def test_a_row_is_read_into_values() -> None:
    assert rows("code;name;qty;unit;place;min\n A1 ;'=apples; 007 ;;Shelf 1;\n") == [
        Row(2, code="A1", name="=apples", quantity=7, location="Shelf 1")
    ]


@pytest.mark.parametrize(("cell", "delta"), [("5", 5), ("+5", 5), ("-5", -5), ("\N{MINUS SIGN}5", -5), ("0", 0)])
def test_a_delta_has_a_sign(cell: str, delta: int) -> None:
    assert rows(f"name,delta\na,{cell}") == [Row(2, name="a", delta=delta)]


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("", "The number is missing; 0 will do."),
        ("1,000", "“1,000” may be thousands or a fraction"),
        ("1.000.000", "may be thousands or a fraction"),
        ("1 000", "may be thousands or a fraction"),
        ("1'000", "may be thousands or a fraction"),
        ("1.5", "“1.5” is a fraction: whole units only."),
        ("2,50", "is a fraction"),
        ("-3", "“-3” is below 0."),
        ("many", "“many” is not a whole number."),
        ("１２", "is not a whole number"),
        ("9" * 5_000, f"The number is larger than {MAX_QUANTITY}."),
        (str(MAX_QUANTITY + 1), f"The number is larger than {MAX_QUANTITY}."),
    ],
)
def test_a_number_that_could_be_misread_is_refused(cell: str, sentence: str) -> None:
    assert sentence in problem(f'name;Qty\na;"{cell}"')
    assert problem(f'name;Qty\na;"{cell}"').startswith("line 2, Qty: ")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name,unit\na", "line 2: 1 cells, but the header has 2"),
        ("name,unit\na,b,c", "line 2: 3 cells, but the header has 2"),
        ("name,unit\n,kg", "line 2, name: The name is missing"),
        ("code,qty\n,3", "line 2: There is neither a name nor a code"),
        ("name\n" + "n" * 201, "201 characters; the limit is 200"),
        ("name\na\0b", "There is a character that cannot be stored"),
        ("name,qty\nname,qty", "line 2: This is the header again"),
        ("name;code\na;4,00638E+12", "a number that a spreadsheet has rounded"),
    ],
)
def test_a_row_that_is_wrong_says_where_and_why(text: str, sentence: str) -> None:
    assert sentence in problem(text)


def test_empty_cells_after_the_last_column_and_blank_rows_do_no_harm() -> None:
    assert rows("name,qty\na,1,,\n,,,\n\nb,2") == [Row(2, name="a", quantity=1), Row(5, name="b", quantity=2)]


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("apples,5", "Line 1: This line must name the columns, such as: name,quantity. It says: apples, 5"),
        ("qty,unit", "must name the columns"),
        ("name,qty,In stock,Stock", "Two columns mean the quantity: “qty” and “Stock”."),
        ("name,qty,delta", "One column is the quantity and one its change"),
        ("\n\n", "The file is empty"),
    ],
)
def test_a_header_that_is_not_clear_is_refused(header: str, sentence: str) -> None:
    assert sentence in refusal(header)


@given(st.text(), st.text())
def test_every_row_is_read_or_has_a_reason(name: str, quantity: str) -> None:
    data = "name\tqty\n" + "\t".join('"' + cell.replace('"', '""') + '"' for cell in (name, quantity))
    for row in Sheet(io.BytesIO(data.encode("utf-8", "replace"))).rows():
        assert isinstance(row, Row) or row.reason.endswith((".", "?"))
