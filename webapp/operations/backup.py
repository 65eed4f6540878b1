"""Backups: the rows as COPY writes them, in a zip file, with the names of the migrations that they were made by."""

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from pydantic import BaseModel

from webapp.postgres.migrations import all_migrations, applied_migrations, objects_made
from webapp.postgres.queries import QUERIES
from webapp.settings import SetupError

# Migrations are run, not restored; and whoever was let in then need not be now.
LEFT_OUT = (
    "inventory_migrations",
    "inventory_sessions",
    "inventory_invitations",
    "inventory_tokens",
    "inventory_sign_in_attempts",
)
CONTENTS = "contents.json"
TEXT_FORMS = (
    "SELECT set_config('datestyle', 'ISO', TRUE), set_config('intervalstyle', 'iso_8601', TRUE),"
    " set_config('bytea_output', 'hex', TRUE), set_config('extra_float_digits', '1', TRUE),"
    " set_config('search_path', 'pg_catalog, pg_temp', TRUE)"  # types are called by their whole names
)


class Identity(BaseModel):
    """A column that numbers rows. Numbers of rows that are gone are never given again."""

    table: str
    column: str
    next: int


class Table(BaseModel):
    """A table in the file, and its rows."""

    name: str
    columns: list[str]
    types: list[str] = []  # files of older releases do not say
    rows: int


class Contents(BaseModel):
    """What is in a file."""

    taken_at: datetime
    migrations: dict[str, str]
    tables: list[Table]
    identities: list[Identity]

    def rows(self, table: str) -> int:
        """Return how many rows of a table there are."""
        return sum(each.rows for each in self.tables if each.name == table)


def back_up(url: str, file: Path) -> Contents:
    """Write all that is committed now to a file, while others go on; what it was stays until all is written.

    Raises `SetupError`, `OSError` or `psycopg.Error`.
    """
    with _replacing(file) as unfinished, ZipFile(unfinished, "w", ZIP_DEFLATED, compresslevel=1) as archive:
        with psycopg.connect(url, connect_timeout=10, client_encoding="utf8", prepare_threshold=None) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            contents = _copy_out(connection, archive)
        archive.writestr(CONTENTS, contents.model_dump_json(indent=2))
    return contents


def _copy_out(connection: psycopg.Connection[Any], archive: ZipFile) -> Contents:
    migrations = applied_migrations(connection)
    if not migrations:
        raise SetupError("There is nothing to back up: the database has no tables of ours.")
    connection.execute(TEXT_FORMS)
    tables = [_copy_table_out(connection, archive, *row) for row in kept_tables(connection)]
    with connection.cursor(row_factory=dict_row) as cursor:  # after the rows: it may be too many, and never too few
        found = cursor.execute(QUERIES["identities"], {"names": [table.name for table in tables]})
        identities = [Identity(**row) for row in found]
    return Contents(taken_at=datetime.now(UTC), migrations=migrations, tables=tables, identities=identities)


def _copy_table_out(
    connection: psycopg.Connection[Any], archive: ZipFile, name: str, columns: list[str], types: list[str]
) -> Table:
    cursor = connection.cursor()
    with archive.open(name, "w", force_zip64=True) as member, cursor.copy(copying(name, columns, "TO STDOUT")) as rows:
        for part in rows:
            member.write(part)
    return Table(name=name, columns=columns, types=types, rows=cursor.rowcount)


def copying(table: str, columns: Sequence[str], direction: Any) -> sql.Composed:
    """Return the COPY of a table's rows, "TO STDOUT" or "FROM STDIN"."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) {}").format(sql.Identifier("public", table), names, sql.SQL(direction))


def kept_tables(connection: psycopg.Connection[Any]) -> list[tuple[str, list[str], list[str]]]:
    """Return the tables whose rows a backup keeps, their columns, and the types of those."""
    names = [name for name in objects_made(all_migrations()) if name not in LEFT_OUT]
    return connection.execute(QUERIES["backup_tables"], {"names": names}).fetchall()


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """Give a name beside the file to write to, for nobody else to read; it takes the file's place when all is well.

    For root it would take that of a device too, such as /dev/stdout.
    """
    file = file.resolve()
    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "it is there, and no file")
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
