"""Backups: taken while others write, restored as a whole or not at all, under open pages."""

import os
from pathlib import Path
from zipfile import ZipFile

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.browserless import open_page
from tests.command import call, refusal
from tests.factories import make_item
from tests.integration.parts import postgres_15
from tests.server import LiveServer, serve
from tests.waiting import until
from webapp.operations.backup import CONTENTS, LEFT_OUT, back_up
from webapp.operations.restore import restore
from webapp.postgres.migrations import (
    Migration,
    all_migrations,
    applied_migrations,
    apply,
    migrate,
    objects_made,
    preparing,
)
from webapp.settings import SetupError

ITEMS = "SELECT * FROM inventory ORDER BY id"
CHANGES = "SELECT * FROM inventory_changes ORDER BY id"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "stock of today.backup"


def rows(connection: psycopg.Connection, *queries: str) -> list[list[tuple[object, ...]]]:
    return [connection.execute(query.encode()).fetchall() for query in queries]


def fill(database: psycopg.Connection) -> None:
    """Items and changes with whatever text may hold, one of the items gone again."""
    make_item(database, name="tab\tnewline\\n\\N “Ä” \u202e", quantity=2**63 - 1, unit="", location=r"\.")
    gone = make_item(database, name="gone")
    database.execute("DELETE FROM inventory WHERE id = %s", [gone])


def test_everything_comes_back_in_another_database_and_numbers_go_on(
    database: psycopg.Connection, database_url: str, empty_database: str, file: Path
) -> None:
    fill(database)
    done = call("backup", str(file), DATABASE_URL=database_url)
    assert (done.returncode, done.stdout) == (0, f"1 item and 3 changes are in {file}.\n")
    assert file.stat().st_mode & 0o777 == 0o600
    done = call("restore", str(file), DATABASE_URL=empty_database)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 item and 3 changes of 20")
    with psycopg.connect(empty_database, autocommit=True) as restored:
        assert rows(restored, ITEMS, CHANGES) == rows(database, ITEMS, CHANGES)
        assert make_item(restored) == 3
        assert rows(restored, "SELECT id, operation FROM inventory_changes ORDER BY id DESC LIMIT 1") == [
            [(4, "insert")]
        ]
    assert migrate(empty_database) == []


def test_what_is_there_is_only_replaced_when_that_is_said(
    database: psycopg.Connection, database_url: str, stranger: str, file: Path
) -> None:
    make_item(database, name="then")
    database.execute(f"GRANT SELECT, UPDATE ON inventory TO {stranger}")
    database.execute("CREATE TABLE inventory_of_theirs AS SELECT 1")
    back_up(database_url, file)
    make_item(database, name="now")
    with pytest.raises(SetupError, match="add --replace"):
        restore(database_url, file, replace=False)
    assert rows(database, "SELECT name FROM inventory ORDER BY id") == [[("then",), ("now",)]]
    restore(database_url, file, replace=True)
    assert rows(database, "SELECT name FROM inventory") == [[("then",)]]
    assert rows(database, f"SELECT has_table_privilege('{stranger}', 'inventory', 'UPDATE')") == [[(True,)]]
    assert rows(database, f"SELECT has_table_privilege('{stranger}', 'inventory', 'DELETE')") == [[(False,)]]
    assert rows(database, "TABLE inventory_of_theirs") == [[(1,)]]
    database.execute(f"REVOKE ALL ON inventory FROM {stranger}")


def cut_off(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 100)


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[content.index(b"inventory_changes") + 60] ^= 1
    file.write_bytes(content)


def forget_a_table(file: Path) -> None:
    with ZipFile(file) as archive:
        contents = archive.read(CONTENTS)
    with ZipFile(file, "w") as archive:
        archive.writestr(CONTENTS, contents)


def be_another_zip(file: Path) -> None:
    with ZipFile(file, "w") as archive:
        archive.writestr("holiday.txt", "photos")


@pytest.mark.parametrize("damage", [cut_off, flip_a_bit, forget_a_table, be_another_zip])
def test_a_damaged_file_changes_nothing(
    database: psycopg.Connection, database_url: str, file: Path, damage: object
) -> None:
    for number in range(20):
        make_item(database, name=f"item {number}", unit="x" * number)
    back_up(database_url, file)
    make_item(database, name="now")
    before = rows(database, ITEMS, CHANGES)
    assert callable(damage)
    damage(file)
    with pytest.raises(SetupError, match="nothing was changed"):
        restore(database_url, file, replace=True)
    assert rows(database, ITEMS, CHANGES) == before


def test_a_backup_that_fails_leaves_the_one_before(database_url: str, file: Path) -> None:
    file.write_text("of yesterday")
    url = make_conninfo(database_url, dbname="nowhere")
    assert "there is no backup" in refusal("backup", str(file), DATABASE_URL=url)
    assert file.read_text() == "of yesterday"
    assert list(file.parent.iterdir()) == [file]


def test_a_backup_takes_the_place_of_no_device(database_url: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path):
        assert f"{place} cannot be written: it is there" in refusal("backup", str(place), DATABASE_URL=database_url)
    assert pipe.is_fifo()


def test_a_backup_of_an_older_release_is_brought_up_to_date_by_what_its_release_lacked_in_its_order(
    empty_database: str, database_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = all_migrations()
    later = [Migration(f"9999_{n}", f"UPDATE public.inventory SET unit = unit || {n}".encode()) for n in (1, 2)]
    monkeypatch.setattr("webapp.operations.restore.all_migrations", lambda: [*known, *later])
    with preparing(empty_database) as connection:
        apply(connection, known[:4])
        connection.execute("INSERT INTO public.inventory (name, quantity, unit) VALUES ('of long ago', 7, '')")
    back_up(empty_database, file)
    restore(database_url, file, replace=False)
    with psycopg.connect(database_url, autocommit=True) as restored:
        assert rows(restored, "SELECT name, quantity, unit FROM inventory") == [[("of long ago", 7, "12")]]
        assert list(applied_migrations(restored)) == [migration.name for migration in (*known, *later)]


def test_a_backup_of_a_newer_release_is_refused(database: psycopg.Connection, database_url: str, file: Path) -> None:
    database.execute("INSERT INTO inventory_migrations (name, checksum) VALUES ('9999_from_the_future', '')")
    back_up(database_url, file)
    database.execute("DELETE FROM inventory_migrations WHERE name = '9999_from_the_future'")
    with pytest.raises(SetupError, match="newer than this release"):
        restore(database_url, file, replace=True)


def test_a_table_of_another_program_is_left_alone(empty_database: str, database_url: str, file: Path) -> None:
    back_up(database_url, file)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE inventory (theirs text)")
        with pytest.raises(SetupError, match="a table of another program"):
            restore(empty_database, file, replace=True)
        assert rows(connection, "TABLE inventory") == [[]]


def test_a_backup_holds_every_table_but_those_that_are_made_to_be_lost(
    database: psycopg.Connection, database_url: str, file: Path
) -> None:
    back_up(database_url, file)
    relations = (
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
    )
    every, kept = rows(database, relations, f"{relations} AND relkind = 'r' AND relpersistence = 'p'")
    assert {name for (name,) in every} <= set(objects_made(all_migrations()))
    with ZipFile(file) as archive:
        assert {*archive.namelist(), *LEFT_OUT} == {*(name for (name,) in kept), *LEFT_OUT, CONTENTS}


@pytest.mark.parts
def test_a_backup_goes_to_an_older_postgresql_and_back(
    database: psycopg.Connection, database_url: str, empty_database: str, file: Path
) -> None:
    fill(database)
    expected = rows(database, ITEMS, CHANGES)
    with postgres_15() as older:
        back_up(database_url, file)
        restore(older, file, replace=False)
        back_up(older, file)
    restore(empty_database, file, replace=False)
    with psycopg.connect(empty_database, autocommit=True) as restored:
        assert rows(restored, ITEMS, CHANGES) == expected


def changes_after(server: LiveServer, cursor: str | None = None) -> httpx.Response:
    parameters = {"after": cursor} if cursor else {}
    return httpx.get(f"{server.url}/api/changes", params=parameters, verify=False, timeout=20)


async def test_open_pages_and_cursors_learn_of_a_restore(
    database: psycopg.Connection, database_url: str, file: Path
) -> None:
    make_item(database, name="then", quantity=1)
    back_up(database_url, file)
    make_item(database, name="now", quantity=2)
    with serve(database_url) as server:
        await until(lambda: changes_after(server).is_success)  # the log is checked at the start
        cursor = changes_after(server).json()["cursor"]
        async with open_page(server) as page:
            await until(lambda: page.beats)
            assert page.items() == [("now", 2), ("then", 1)]
            restore(database_url, file, replace=True)
            await until(lambda: page.items() == [("then", 1)])
            await until(lambda: changes_after(server, cursor).status_code != 503)
            assert changes_after(server, cursor).status_code == 410
            make_item(database, name="later", quantity=3)
            await until(lambda: page.items() == [("later", 3), ("then", 1)])
