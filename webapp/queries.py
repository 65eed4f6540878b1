"""The named queries of sql/queries: `-- name --`, a comment on what it returns, the statement."""

import re
from pathlib import Path
from typing import LiteralString

from psycopg import sql

from webapp.settings import RESOURCES

SQL = RESOURCES / "sql"
_HEADING = re.compile(r"^-- (\w+) --$", re.MULTILINE)


def _load(folder: Path) -> dict[str, bytes]:
    """Read every file of the folder: name to statement, as bytes, which psycopg takes for trusted text."""
    found: dict[str, bytes] = {}
    for file in sorted(folder.glob("*.sql")):
        _, *parts = _HEADING.split(file.read_text("utf-8"))
        for name, statement in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"two queries are called {name}")
            found[name] = statement.strip().rstrip(";").encode()
    return found


QUERIES = _load(SQL / "queries")
_DIRECTIONS = {False: sql.SQL(" ASC NULLS LAST"), True: sql.SQL(" DESC NULLS LAST")}


def ordered(name: str, column: str, *, descending: bool) -> sql.Composed:
    """Return the named query with `{order}` filled in from the query `order_by_<column>`."""
    order = sql.SQL(_literal(f"order_by_{column}")) + _DIRECTIONS[descending]
    return sql.SQL(_literal(name)).format(order=order)


def _literal(name: str) -> LiteralString:
    return QUERIES[name].decode()
