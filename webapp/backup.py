"""Backup and restore: the rows as COPY writes them, in a zip file, with the names of the migrations they were made by.

A restore runs those migrations anew, loads the rows, and then runs the later ones, all in one transaction. So a file
fits every release that knows its migrations and every PostgreSQL that is supported, and needs no program but ours.
"""

import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from pydantic import BaseModel, ValidationError

from webapp.migrations import (
    Connection,
    Migration,
    all_migrations,
    applied_migrations,
    apply,
    check_history,
    objects_made,
    preparing,
)
from webapp.queries import QUERIES
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
CHUNK = 256 * 1024
_TEXT_FORMS = (
    "SELECT set_config('datestyle', 'ISO', TRUE), set_config('intervalstyle', 'iso_8601', TRUE),"
    " set_config('bytea_output', 'hex', TRUE), set_config('extra_float_digits', '1', TRUE)"
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


def restore(url: str, file: Path, *, replace: bool) -> Contents:
    """Make the database what it was when the file was written, or leave it as it is.

    Raises `SetupError` or `OSError`.
    """
    known = all_migrations()
    try:
        with ZipFile(file) as archive, preparing(url) as connection:
            contents = Contents.model_validate_json(archive.read(CONTENTS))
            check_history(contents.migrations, known)
            grants = _remove_what_is_there(connection, known, replace=replace)
            apply(connection, [each for each in known if each.name in contents.migrations])
            _copy_in(connection, archive, contents)
            apply(connection, known)
            _run(connection, grants)
    except (BadZipFile, KeyError, EOFError, zlib.error, ValidationError) as error:
        raise SetupError(f"{file} is not a whole backup of ours, and nothing was changed: {error}") from error
    return contents


def _copy_out(connection: psycopg.Connection[Any], archive: ZipFile) -> Contents:
    migrations = applied_migrations(connection)
    if not migrations:
        raise SetupError("There is nothing to back up: the database has no tables of ours.")
    connection.execute(_TEXT_FORMS)
    tables = [_copy_table_out(connection, archive, *row) for row in _tables(connection)]
    with connection.cursor(row_factory=dict_row) as cursor:  # after the rows: it may be too many, and never too few
        found = cursor.execute(QUERIES["identities"], {"names": [table.name for table in tables]})
        identities = [Identity(**row) for row in found]
    return Contents(taken_at=datetime.now(UTC), migrations=migrations, tables=tables, identities=identities)


def _copy_table_out(connection: psycopg.Connection[Any], archive: ZipFile, name: str, columns: list[str]) -> Table:
    cursor = connection.cursor()
    with archive.open(name, "w", force_zip64=True) as member, cursor.copy(_copy(name, columns, "TO STDOUT")) as rows:
        for part in rows:
            member.write(part)
    return Table(name=name, columns=columns, rows=cursor.rowcount)


def _remove_what_is_there(connection: Connection, known: Sequence[Migration], *, replace: bool) -> list[str]:
    """Remove our tables and functions; return the statements that grant others what they may do now."""
    applied = applied_migrations(connection)
    check_history(applied, known)
    if not applied:
        return []
    if not replace and (name := next(_tables_with_rows(connection), None)):
        raise SetupError(
            f"The database is not empty: there are rows in {name}, and all that is there now would be gone.\n"
            "If that is wanted, back it up first, and add --replace."
        )
    names = objects_made(known)
    grants = _statements(connection, "grants", names)
    _run(connection, _statements(connection, "removals", names))
    return grants


def _copy_in(connection: Connection, archive: ZipFile, contents: Contents) -> None:
    """Load the rows into tables that were made a moment ago, with no trigger on: they bring their own history."""
    connection.execute(_TEXT_FORMS)
    every = [sql.Identifier("public", table.name) for table in contents.tables]
    for place in every:
        connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(place))
    # What migrations have put there; nothing of other programs can refer to tables that were made a moment ago.
    connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(every)))
    for table in contents.tables:
        _copy_table_in(connection, archive, table)
    for place in every:
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(place))
    for each in contents.identities:
        place, column = sql.Identifier("public", each.table), sql.Identifier(each.column)
        statement = sql.SQL("ALTER TABLE {} ALTER COLUMN {} RESTART WITH {}")
        connection.execute(statement.format(place, column, sql.Literal(each.next)))


def _copy_table_in(connection: Connection, archive: ZipFile, table: Table) -> None:
    statement = _copy(table.name, table.columns, "FROM STDIN")
    with archive.open(table.name) as member, connection.cursor() as cursor, cursor.copy(statement) as rows:
        while part := member.read(CHUNK):
            rows.write(part)


def _copy(table: str, columns: Sequence[str], direction: Any) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) {}").format(sql.Identifier("public", table), names, sql.SQL(direction))


def _tables(connection: psycopg.Connection[Any]) -> list[tuple[str, list[str]]]:
    names = [name for name in objects_made(all_migrations()) if name not in LEFT_OUT]
    return connection.execute(QUERIES["backup_tables"], {"names": names}).fetchall()


def _tables_with_rows(connection: Connection) -> Iterator[str]:
    for name, _ in _tables(connection):
        if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier("public", name))).rowcount:
            yield name


def _statements(connection: Connection, query: str, names: list[str]) -> list[str]:
    return [statement for (statement,) in connection.execute(QUERIES[query], {"names": names})]


def _run(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement.encode())


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """Give a name beside the file to write to, for nobody else to read; it takes the file's place when all is well."""
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
