"""What a shop adds to its inventory, in backups: its columns come back, and what hangs on our tables is named."""

from pathlib import Path
from zipfile import ZipFile

import psycopg
import pytest

from tests.factories import make_item
from webapp.operations.backup import CONTENTS, Contents, back_up
from webapp.operations.restore import restore
from webapp.settings import SetupError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stock.backup"


def test_what_was_made_of_our_tables_is_named_and_stays(
    database: psycopg.Connection, database_url: str, file: Path
) -> None:
    item_id = make_item(database)
    database.execute("CREATE TABLE orders (item bigint REFERENCES inventory)")
    database.execute("INSERT INTO orders VALUES (%s)", [item_id])
    back_up(database_url, file)
    with pytest.raises(SetupError, match=r"constraint orders_item_fkey on table public\.orders"):
        restore(database_url, file, replace=True)
    assert database.execute("TABLE orders").fetchall() == [(item_id,)]


def test_columns_of_the_shops_own_come_back_too(
    database: psycopg.Connection, database_url: str, empty_database: str, file: Path
) -> None:
    shops = "SELECT supplier, number, mood::text, price::text FROM inventory"
    with psycopg.connect(empty_database, autocommit=True) as other:
        for each in (database, other):
            each.execute("CREATE TYPE mood AS ENUM ('fresh', 'stale')")
        database.execute(
            "ALTER TABLE inventory ADD COLUMN supplier text NOT NULL DEFAULT 'Anna',"
            " ADD COLUMN mood mood DEFAULT 'stale', ADD COLUMN price numeric(10, 2) DEFAULT 1.5,"
            " ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY,"
            " ADD COLUMN twice bigint GENERATED ALWAYS AS (quantity * 2) STORED"
        )
        make_item(database)
        back_up(database_url, file)
        restore(empty_database, file, replace=False)
        for each in (database, other):
            assert each.execute(shops).fetchall() == [("Anna", 1, "stale", "1.50")]


def test_a_column_of_a_type_that_is_not_there_is_named(
    database: psycopg.Connection, database_url: str, empty_database: str, file: Path
) -> None:
    database.execute("CREATE TYPE mood AS ENUM ('fresh')")
    database.execute("ALTER TABLE inventory ADD COLUMN mood mood")
    back_up(database_url, file)
    with pytest.raises(SetupError, match=r"mood of inventory is of the type public\.mood"):
        restore(empty_database, file, replace=False)


def test_of_a_file_of_before_types_were_kept_such_columns_are_text(
    database: psycopg.Connection, database_url: str, file: Path
) -> None:
    database.execute("ALTER TABLE inventory ADD COLUMN weight integer DEFAULT 7")
    make_item(database)
    back_up(database_url, file)
    with ZipFile(file, "a") as archive:
        contents = Contents.model_validate_json(archive.read(CONTENTS))
        without = contents.model_dump_json(exclude={"tables": {"__all__": {"types"}}})
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(CONTENTS, without)
    restore(database_url, file, replace=True)
    assert database.execute("SELECT weight FROM inventory").fetchall() == [("7",)]
