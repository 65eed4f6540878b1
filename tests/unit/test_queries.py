from pathlib import Path

import pytest

from webapp.postgres.queries import QUERIES, SQL, _load, ordered
from webapp.stock.views import SORTS


@pytest.mark.parametrize("column", SORTS)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_every_order_of_the_page_is_a_query_with_gaps_last_and_ties_broken_by_id(column: str, direction: str) -> None:
    query = ordered("export_items", column, descending=direction == "DESC").as_string(None)
    gaps = " NULLS LAST" if column in ("unit", "location", "reorder_level", "code") else ""
    tie = "" if column in ("name", "id") else ", id ASC"
    assert query.endswith(f"{QUERIES[f'order_by_{column}'].decode()} {direction}{gaps}{tie}")
    assert "{" not in query


def test_two_queries_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- same --\nSELECT 1;\n")
    (tmp_path / "b.sql").write_text("-- same --\nSELECT 2;\n")
    with pytest.raises(ValueError, match="two queries are called same"):
        _load(tmp_path)


def test_a_query_is_its_text_up_to_the_next_name(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- Of the file.\n-- one --\n-- What.\nSELECT 1;\n\n-- two --\nSELECT 2;\n")
    assert _load(tmp_path) == {"one": b"-- What.\nSELECT 1", "two": b"SELECT 2"}


def test_every_query_says_what_it_returns() -> None:
    silent = [name for name, text in QUERIES.items() if not name.startswith("order_by_") and text[:3] != b"-- "]
    assert silent == []


def test_no_query_begins_a_transaction_or_prepares_one() -> None:
    texts = " ".join(file.read_text() for file in (SQL / "queries").glob("*.sql")).upper()
    assert "BEGIN" not in texts
    assert "PREPARE" not in texts
