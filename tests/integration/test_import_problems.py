"""Rows that cannot be imported are told, each with its reason, and nothing of their file is kept."""

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.integration.imports import columns_of, problems, upload

pytestmark = pytest.mark.usefixtures("no_items")


def test_bad_rows_are_listed_with_line_column_and_reason_and_nothing_is_kept(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    make_item(shared, name="apples", code="A1")
    make_item(shared, name="pears", code="P1", quantity=7)
    kept = shared.execute("SELECT count(*) FROM inventory_imports").fetchone()
    text = (
        "code;name;qty\n;one;1,000\n;ONE;2\n;one ;3\nA1;pears;1\nZ9;apples;1\na1;other;1\n;two\nQ;three;1\nq;four;1\n"
    )
    answer = upload(visitor, text, "bad.csv")
    assert answer.status_code == 422
    assert "bad.csv cannot be imported: 7 problems" in answer.text
    assert problems(answer) == [
        ("2", "qty", "“1,000” may be thousands or a fraction: write whole units without separators."),
        ("4", "name", "Line 3 has the same name."),
        ("5", "name", "Another item is called “pears” now. Rename that one first, in an import of its own."),
        ("6", "code", "The item of this name has another code: A1."),
        ("7", "code", "Line 5 has the same code."),
        ("8", "", "2 cells, but the header has 3. Is a delimiter missing, or a quote?"),
        ("10", "code", "Line 9 has the same code."),
    ]
    assert shared.execute("SELECT count(*) FROM inventory_imports").fetchone() == kept


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,delta\nRice,-11\n", "Only 10 are in stock."),
        ("name,delta\nRice,9223372036854775807\n", "The quantity would exceed 9223372036854775807."),
        ("name,delta\nnew,-1\n", "There is no item of this name to take from."),
        ("name,unit\nnew,kg\n", "There is no item of this name; a new one needs a quantity."),
        ("code,qty\nnew,1\n", "No item has this code; a new one needs a name."),
        ("code,name,qty\nR,Rice,1\n,RICE ,2\n", "Line 2 has the same name."),
        ("code,name,qty\nR,Basmati,1\n,Rice,2\n", "Line 2 is about the same item."),
        ("name,qty\nM\u00fcsli,1\n".encode("latin-1"), "This line is not UTF-8."),
        ('name,qty\nRice,1\n"open,1\n', "The rest of the file was not read."),
        ("", "The file is empty."),
    ],
)
def test_what_the_stock_does_not_allow_is_refused_in_the_preview(
    visitor: httpx.Client, shared: psycopg.Connection, text: str | bytes, reason: str
) -> None:
    item = make_item(shared, name="Rice", code="R", quantity=10)
    answer = upload(visitor, text)
    assert answer.status_code == 422
    (problem,) = problems(answer)
    assert reason in problem[2]
    assert columns_of(shared, item) == ("Rice", 10, None, None, None, "R")


def test_names_that_change_places_are_refused_with_the_reason(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    make_item(shared, name="one", code="1")
    make_item(shared, name="two", code="2")
    answer = upload(visitor, "code,name\n1,two\n2,one\n")
    assert [problem[2][:33] for problem in problems(answer)] == [
        "Another item is called “two” now.",
        "Another item is called “one” now.",
    ]


def test_the_first_hundred_bad_rows_are_shown_and_all_are_counted(visitor: httpx.Client) -> None:
    answer = upload(visitor, "name,qty\n" + "x,\n" * 250)
    assert "250 problems" in answer.text
    assert len(problems(answer)) == 100
    assert "the first 100" in answer.text
