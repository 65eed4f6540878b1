import pytest

from webapp.stock.forms import BadCount, ItemForm, count_in
from webapp.stock.items import MAX_QUANTITY, NameTaken, NewItem, Refused
from webapp.text import WHITE_SPACE, whole_number

ENOUGH = {"name": "apples", "quantity": "3"}


def test_a_name_and_a_quantity_are_enough() -> None:
    assert ItemForm.read(ENOUGH).item == NewItem("apples", 3)


def test_white_space_around_is_no_part_of_what_was_typed() -> None:
    typed = {"name": "pears", "quantity": "0", "unit": "kg", "location": "Shelf 3", "reorder_level": "7"}
    form = ItemForm.read({field: f"{WHITE_SPACE}{text}{WHITE_SPACE}" for field, text in typed.items()})
    assert form.item == NewItem("pears", 0, "kg", "Shelf 3", 7)


def test_fields_of_white_space_only_say_nothing() -> None:
    form = ItemForm.read(ENOUGH | {"unit": WHITE_SPACE, "location": " ", "reorder_level": "\t"})
    assert form.item == NewItem("apples", 3)
    assert set(ItemForm.read({"name": WHITE_SPACE, "quantity": " "}).errors) == {"name", "quantity"}


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("name", "", "Give the item a name"),
        ("name", "n" * 201, "201 characters; the limit is 200"),
        ("name", "a\0b", "cannot be stored"),
        ("name", "a\ud800b", "cannot be stored"),
        ("quantity", "", "Say how many"),
        ("quantity", "-1", "whole number, 0 or more"),
        ("quantity", "1.5", "whole number, 0 or more"),
        ("quantity", "1 000", "whole number, 0 or more"),
        ("quantity", "٣", "whole number, 0 or more"),
        ("quantity", str(MAX_QUANTITY + 1), "at most 9223372036854775807"),
        ("quantity", "9" * 5_000, "at most 9223372036854775807"),
        ("unit", "u" * 41, "the limit is 40"),
        ("location", "l" * 201, "the limit is 200"),
        ("reorder_level", "few", "whole number, 0 or more"),
    ],
)
def test_each_error_stands_beside_its_field_and_what_was_typed_stays(field: str, typed: str, sentence: str) -> None:
    form = ItemForm.read(ENOUGH | {field: typed})
    assert form.item is None
    assert list(form.errors) == [field]
    assert sentence in form.errors[field]
    assert form.values[field] == typed


def test_what_the_database_refuses_is_told_beside_its_field() -> None:
    form = ItemForm.read(ENOUGH)
    form.refuse(NameTaken("apples"))
    form.refuse(Refused("inventory_reorder_level_not_negative"))
    form.refuse(Refused("a_constraint_of_somebody_else"))
    assert set(form.errors) == {"name", "reorder_level", ""}
    assert "a_constraint_of_somebody_else" in form.errors[""]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("000", 0),
        ("007", 7),
        ("0" * 5_000 + "1", 1),
        (str(MAX_QUANTITY), MAX_QUANTITY),
        (str(MAX_QUANTITY + 1), None),
        ("9" * 5_000, None),
        ("", None),
        ("+1", None),
        ("1_000", None),
        ("²", None),
    ],
)
def test_whole_numbers_are_ascii_digits_that_the_database_can_hold(text: str, number: int | None) -> None:
    assert whole_number(text, MAX_QUANTITY) == number


def test_one_is_meant_where_no_count_is_given() -> None:
    assert count_in({}) == 1
    assert count_in({"by": " 12 "}) == 12


@pytest.mark.parametrize("by", ["", "0", "-1", "1.5", "many", str(MAX_QUANTITY + 1)])
def test_a_count_is_a_whole_number_from_one_on(by: str) -> None:
    with pytest.raises(BadCount, match="from 1 to"):
        count_in({"by": by})
