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
_DIRECTIONS = {False: sql.SQL(" ASC"), True: sql.SQL(" DESC")}
_GAPS_LAST = sql.SQL(" NULLS LAST")
_MAY_BE_MISSING = ("unit", "location", "reorder_level", "code")
_UNIQUE = ("name", "id")


def filled(name: str, **parts: str) -> sql.Composed:
    """Return the named query with each of its `{places}` filled in from the query that is named for it."""
    return sql.SQL(_literal(name)).format(**{place: sql.SQL(_literal(part)) for place, part in parts.items()})


def may_be_missing(column: str) -> bool:
    """Whether an item may have no value in a column."""
    return column in _MAY_BE_MISSING


def ordered(name: str, column: str, *, descending: bool, **parts: str) -> sql.Composed:
    """Return the named query of a view's items with its places filled in.

    `{matches}` is the filter, `{exact}` says whose code is the search text; `{column}` and `{order}` come from the
    query `order_by_<column>`. Of the other parts each is what the query of that name says; in it `{beyond}` compares
    with a value: "is after it in this order". Missing values are last, and equal ones are in the order of id. Neither
    is said where there are none: an index gives the order in both directions.
    """
    value = sql.SQL(_literal(f"order_by_{column}"))
    order = value + _DIRECTIONS[descending]
    if may_be_missing(column):
        order += _GAPS_LAST
    if column not in _UNIQUE:
        order += sql.SQL(", id")
    beyond = sql.SQL("<" if descending else ">")
    return sql.SQL(_literal(name)).format(
        matches=sql.SQL(_literal("matches")),
        exact=sql.SQL(_literal("exact")),
        column=value,
        order=order,
        **{place: sql.SQL(_literal(part)).format(column=value, beyond=beyond) for place, part in parts.items()},
    )


def _literal(name: str) -> LiteralString:
    return QUERIES[name].decode()
