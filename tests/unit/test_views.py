from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.stock.views import MAX_TEXT, SORTS, View

TEXTS = st.text(st.sampled_from("aÄß😀% _&=+-9٣\t\n\0\ud800\u200b\u3000"))
VALUES = TEXTS | st.sampled_from([*SORTS, "-name", "1", "0", "2", "x" * 199 + " y", "😀" * 300])


@given(st.dictionaries(st.sampled_from(["q", "sort", "low", "location", "page", "other"]), VALUES))
def test_whatever_the_query_string_says_the_view_is_canonical(query: dict[str, str]) -> None:
    view, _ = View.parse(query)
    again, complaints = View.parse(dict(parse_qsl(view.query)))
    assert again == view
    assert complaints == []
    assert len(view.url) < 8_000, "WebSocket servers refuse longer addresses"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"sort": "price"}, "no such order"),
        ({"sort": "--name"}, "no such order"),
        ({"low": "yes"}, "1 or 0"),
        ({"page": "0"}, "no such page"),
        ({"page": "-1"}, "no such page"),
        ({"page": "1e3"}, "no such page"),
        ({"page": "٣"}, "no such page"),
        ({"page": "9" * 5_000}, "no such page"),
        ({"q": "\0"}, "left out"),
        ({"location": "x" * (MAX_TEXT + 1)}, "longer than"),
    ],
)
def test_what_cannot_be_used_falls_back_and_says_so(query: dict[str, str], sentence: str) -> None:
    view, complaints = View.parse(query)
    assert view == View(location="x" * MAX_TEXT if "location" in query else "")
    assert len(complaints) == 1
    assert sentence in complaints[0]


@pytest.mark.parametrize("query", [{}, {"q": ""}, {"q": " \u200b"}, {"sort": "name", "page": "001", "low": "0"}])
def test_the_default_view_has_one_address(query: dict[str, str]) -> None:
    assert View.parse(query) == (View(), [])
    assert View.parse(query)[0].url == "/"


def test_a_location_is_taken_exactly_as_it_is() -> None:
    assert View.parse({"location": " Shelf 3 "})[0].location == " Shelf 3 "


def test_sorting_by_the_same_column_turns_the_direction_and_starts_at_the_first_page() -> None:
    view = View(q="a", page=3)
    assert view.sorted_by("name") == View(q="a", sort="-name")
    assert view.sorted_by("name").sorted_by("name") == View(q="a")
    assert view.sorted_by("quantity") == View(q="a", sort="quantity")


def test_another_page_keeps_everything_else() -> None:
    view = View(q="a&b", sort="-quantity", low=True, location="ü")
    assert view.on_page(2).url == "/?q=a%26b&sort=-quantity&low=1&location=%C3%BC&page=2"
