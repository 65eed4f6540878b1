"""Cursors, problems and models of the API, as plain values."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from starlette.requests import HTTPConnection

from webapp.api.change_feed import _ended
from webapp.api.cursors import read_cursor, write_cursor
from webapp.api.models import ItemEdits, ItemToAdd
from webapp.api.values import CURSOR
from webapp.problems import KINDS, Problem, kind_of, of_kind, of_stock_error
from webapp.stock.items import NotEnough
from webapp.text import WHITE_SPACE, trim

REQUEST = HTTPConnection({"type": "http", "root_path": "/stock"})
VALUES = st.lists(st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")))


@given(VALUES)
def test_a_cursor_is_read_as_it_was_written_and_fits_an_address(values: list[object]) -> None:
    cursor = write_cursor(*values)
    assert read_cursor(cursor, len(values)) == values
    assert re.fullmatch(CURSOR, cursor)


@given(st.from_regex(CURSOR, fullmatch=True))
def test_what_is_no_cursor_is_a_problem_and_no_defect(text: str) -> None:
    with pytest.raises(Problem) as raised:
        read_cursor(text, 99)
    assert (raised.value.status, raised.value.kind) == (410, "unusable-cursor")


def test_a_problem_has_the_facts_of_the_error_and_is_ascii() -> None:
    problem = of_stock_error(NotEnough("Äpfel \ud800", 5, 3), 409, "Not enough")
    body = bytes(problem.response(REQUEST).body)
    assert body.isascii()
    facts = {"type": "/stock/api#not-enough", "status": 409, "asked": 5, "available": 3, "name": "Äpfel \ud800"}
    assert json.loads(body).items() >= facts.items()
    assert kind_of(NotEnough) == "not-enough"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_problem_has_its_status_and_title(kind: str) -> None:
    problem = of_kind(kind, "why", Retry_After="1")
    assert (problem.status, problem.title) == KINDS[kind][:2]
    assert problem.response(REQUEST).headers["retry-after"] == "1"


@given(st.text(st.sampled_from([*WHITE_SPACE, "a", "\0"]), max_size=10))
def test_a_name_is_refused_exactly_where_nothing_of_it_can_be_seen(text: str) -> None:
    try:
        name = ItemToAdd(name=text, quantity=1).name
    except ValidationError:
        assert "\0" in text or not trim(text)
    else:
        assert name == trim(text) != ""
        assert "\0" not in text


def test_null_empties_a_field_and_what_is_left_out_stays() -> None:
    assert ItemEdits.model_validate({"unit": None, "location": " "}).edits() == {"unit": None, "location": None}
    assert ItemEdits.model_validate({"reason": "x"}).edits() == {}
    for required in ("name", "quantity"):
        with pytest.raises(ValidationError):
            ItemEdits.model_validate({required: None})


@pytest.mark.parametrize(
    ("since", "upto", "ended"),
    [("5:5:", "9:9:", set()), ("5:9:5,7", "5:12:5,10", {"7"}), ("5:9:5,7", "12:12:", {"5", "7"})],
)
def test_the_transactions_that_ended_between_two_snapshots(since: str, upto: str, ended: set[str]) -> None:
    assert set(_ended(since, upto).strip("{}").split(",")) - {""} == ended
