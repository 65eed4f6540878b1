"""Restores: the migrations of a backup are run anew, its rows loaded, and then the later migrations run.

All in one transaction. So a file fits every release that knows its migrations and every PostgreSQL that is supported,
and needs no program but ours.
"""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import psycopg
from psycopg import sql
from pydantic import ValidationError

from webapp.operations.backup import CONTENTS, TEXT_FORMS, Contents, Table, copying, kept_tables
from webapp.postgres.migrations import (
    Connection,
    Migration,
    all_migrations,
    applied_migrations,
    apply,
    check_history,
    objects_made,
    preparing,
)
from webapp.postgres.queries import QUERIES
from webapp.settings import SetupError

CHUNK = 256 * 1024


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
    try:
        _run(connection, _statements(connection, "removals", names))
    except psycopg.errors.DependentObjectsStillExist as error:
        raise SetupError(
            "Others were made of the tables that are to be replaced. Nothing was changed: remove them, and make them"
            f" again when the restore is done.\n{error.diag.message_detail}"
        ) from error
    return grants


def _copy_in(connection: Connection, archive: ZipFile, contents: Contents) -> None:
    """Load the rows into tables that were made a moment ago, with no trigger on: they bring their own history."""
    connection.execute(TEXT_FORMS)
    ours = {name: columns for name, columns, _ in kept_tables(connection)}
    every = [sql.Identifier("public", table.name) for table in contents.tables]
    for place in every:
        connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(place))
    # What migrations have put there; nothing of other programs can refer to tables that were made a moment ago.
    connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(every)))
    for table in contents.tables:
        _add_columns(connection, table, ours[table.name])
        _copy_table_in(connection, archive, table)
    for place in every:
        connection.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(place))
    for each in contents.identities:
        if each.column not in ours[each.table]:
            continue
        place, column = sql.Identifier("public", each.table), sql.Identifier(each.column)
        statement = sql.SQL("ALTER TABLE {} ALTER COLUMN {} RESTART WITH {}")
        connection.execute(statement.format(place, column, sql.Literal(each.next)))


def _add_columns(connection: Connection, table: Table, ours: Sequence[str]) -> None:
    """Add the columns that others had added: of them a file holds the values and the types, and nothing else."""
    for column, name in zip(table.columns, table.types or ["text"] * len(table.columns), strict=True):
        if column in ours:
            continue
        (type_,) = connection.execute(QUERIES["type_called"], {"name": name}).fetchone() or (None,)
        if type_ is None:
            raise SetupError(f"The column {column} of {table.name} is of the type {name}: make that type first.")
        statement = sql.SQL("ALTER TABLE {} ADD COLUMN {} {}")
        place = sql.Identifier("public", table.name)
        connection.execute(statement.format(place, sql.Identifier(column), sql.SQL(type_)))


def _copy_table_in(connection: Connection, archive: ZipFile, table: Table) -> None:
    statement = copying(table.name, table.columns, "FROM STDIN")
    with archive.open(table.name) as member, connection.cursor() as cursor, cursor.copy(statement) as rows:
        while part := member.read(CHUNK):
            rows.write(part)


def _tables_with_rows(connection: Connection) -> Iterator[str]:
    for name, *_ in kept_tables(connection):
        if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier("public", name))).rowcount:
            yield name


def _statements(connection: Connection, query: str, names: list[str]) -> list[str]:
    return [statement for (statement,) in connection.execute(QUERIES[query], {"names": names})]


def _run(connection: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        connection.execute(statement.encode())
