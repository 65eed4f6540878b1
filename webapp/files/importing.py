"""Importing a file: its rows are copied into the database, set against the items there, and applied all or none."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import psycopg
from psycopg.rows import DictRow, dict_row

from webapp.files.csv_files import UnreadableFile
from webapp.files.review import Connection, Problems, Review, one_row, review_rows
from webapp.files.rows import Problem, Row, Sheet
from webapp.postgres.database import dedicated_conninfo
from webapp.postgres.pool import LOCK_LIMIT
from webapp.postgres.queries import QUERIES
from webapp.roles import PRINCIPAL
from webapp.stock.inventory import YIELDED, is_refusal, refused
from webapp.stock.items import Busy, StockError
from webapp.text import storable

Progress = Callable[[int], None]

AT_ONCE = 2  # imports in this process; each may sort a hundred thousand rows
MAX_FILE_NAME = 200
_REPORT_ROWS = 1_000
_slots = threading.BoundedSemaphore(AT_ONCE)


class NoSuchImport(StockError):
    """The file was applied, or forgotten after its hour."""

    def __str__(self) -> str:
        return "This import is no longer there: it was applied, or it waited for more than an hour."


class ChangedMeanwhile(StockError):
    """The inventory is not any more what the preview was made from."""

    def __str__(self) -> str:
        return "The inventory has changed since this preview was made."


@contextmanager
def importing(url: str) -> Iterator[Connection]:
    """Open a connection for one import, in a transaction; what the database refuses is raised as a `StockError`."""
    conninfo = dedicated_conninfo(url, "live-inventory import")
    try:
        with _slots, psycopg.connect(conninfo, row_factory=dict_row, prepare_threshold=None) as connection:
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.read_only = False
            connection.execute(QUERIES["limit_import"], {"lock_timeout": LOCK_LIMIT})
            yield connection
    except YIELDED as error:
        raise Busy from error
    except psycopg.DatabaseError as error:
        if error.diag.constraint_name in ("inventory_name_unique", "inventory_code_unique"):
            raise ChangedMeanwhile from error  # somebody took a name or a code in the last moment
        if not is_refusal(error):
            raise
        raise refused(error) from error


def read_file(
    connection: Connection,
    file: IO[bytes],
    file_name: str,
    encoding: str | None = None,
    progress: Progress | None = None,
) -> Review:
    """Copy a file's rows into the database, and review them; it can be applied when there are no problems."""
    name, problems = storable(file_name)[:MAX_FILE_NAME], Problems()
    connection.execute(QUERIES["forget_imports"])
    try:
        sheet = Sheet(file, encoding)
    except UnreadableFile as error:
        problems.note(Problem(error.line, "", error.reason))
        return Review("", name, [], [], 0, 0, 0, "", problems, [], [])
    values = {"token": secrets.token_urlsafe(16), "file_name": name, "columns": sheet.columns, "unused": sheet.unused}
    import_id = one_row(connection, "add_import", values)["id"]
    _copy_rows(connection, import_id, sheet, problems, progress or (lambda _: None))
    return review_rows(connection, {"id": import_id, **values}, problems)


def review_file(connection: Connection, token: str) -> Review:
    """Review a file that was read before. Raises `NoSuchImport`."""
    return review_rows(connection, _find(connection, "import_by_token", token), Problems())


def apply_file(connection: Connection, token: str, digest: str | None = None) -> Review:
    """Apply a file that was read before; return what that did. With it the file is forgotten.

    Raises `NoSuchImport`, `Busy`, and `ChangedMeanwhile` where it is not any more what the review of `digest` said.
    """
    imported = _find(connection, "import_by_token_locked", token)
    review = _settled_review(connection, imported)
    if review.problems.count or digest not in (None, review.digest):
        raise ChangedMeanwhile
    claim = {"actor": PRINCIPAL.get().name or "", "source": "import", "reason": imported["file_name"], "undoes": ""}
    connection.execute(QUERIES["claim"], claim)
    connection.execute(QUERIES["apply_changes"])
    connection.execute(QUERIES["apply_additions"])
    connection.execute(QUERIES["forget_import"], {"id": imported["id"]})
    return review


def _settled_review(connection: Connection, imported: DictRow) -> Review:
    """Review what nobody else can change until the transaction ends."""
    for _ in range(3):
        review = review_rows(connection, imported, Problems())
        if not one_row(connection, "lock_reviewed")["moved"]:
            return review
    raise Busy


def _copy_rows(connection: Connection, import_id: int, sheet: Sheet, problems: Problems, progress: Progress) -> None:
    with connection.cursor() as cursor, cursor.copy(QUERIES["copy_import_rows"]) as copy:
        for number, row in enumerate(_readable_rows(sheet, problems), 1):
            copy.write_row((import_id, row.line, row.code, row.name, row.quantity, row.delta, *_places(row)))
            if number % _REPORT_ROWS == 0:
                progress(number)


def _places(row: Row) -> tuple[str | None, str | None, int | None]:
    return row.unit, row.location, row.reorder_level


def _readable_rows(sheet: Sheet, problems: Problems) -> Iterator[Row]:
    try:
        for row in sheet.rows():
            if isinstance(row, Row):
                yield row
            else:
                problems.note(row)
    except UnreadableFile as error:
        problems.note(Problem(error.line, "", f"{error.reason} The rest of the file was not read."))


def _find(connection: Connection, query: str, token: str) -> DictRow:
    found = connection.execute(QUERIES[query], {"token": storable(token)}).fetchone()
    if found is None:
        raise NoSuchImport
    return found
