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
_GAPS = {False: sql.SQL(" NULLS LAST"), True: sql.SQL(" NULLS FIRST")}
_MAY_BE_MISSING = ("unit", "location", "reorder_level", "code")
_UNIQUE = ("name", "id")


def filled(name: str, **parts: str) -> sql.Composed:
    """Return the named query with each of its `{places}` filled in from the query that is named for it."""
    return sql.SQL(_literal(name)).format(**{place: sql.SQL(_literal(part)) for place, part in parts.items()})


def may_be_missing(column: str) -> bool:
    """Whether an item may have no value in a column."""
    return column in _MAY_BE_MISSING


def is_unique(column: str) -> bool:
    """Whether no two items have the same value in a column; then an index gives its order."""
    return column in _UNIQUE


def ordered(name: str, column: str, *, descending: bool, from_end: bool = False, **parts: str) -> sql.Composed:
    """Return the named query of a view's items with its places filled in.

    `{matches}` is the filter, `{exact}` says whose code is the search text, `{no_exact}` that nobody's is. `{column}`
    and `{order}` come from the query `order_by_<column>`; `{places}` is the same order of rows that have `is_exact`,
    `key` and `id`. `{walk}` is that order or, `from_end`, its reverse: there `{ahead}` compares two values, "comes
    before", and `{gaps}` says whether what has no value comes first. Of the other parts each is what the query of that
    name is; in it `{beyond}` compares with a value: "is after it in this order".
    """
    value = sql.SQL(_literal(f"order_by_{column}"))
    beyond = sql.SQL("<" if descending else ">")
    return sql.SQL(_literal(name)).format(
        matches=sql.SQL(_literal("matches")),
        exact=sql.SQL(_literal("exact")),
        no_exact=sql.SQL(_literal("no_exact")),
        column=value,
        order=_order(value, column, descending=descending),
        places=_places(column, descending=descending, reverse=False),
        walk=_places(column, descending=descending, reverse=from_end),
        ahead=sql.SQL(">" if descending != from_end else "<"),
        gaps=sql.SQL("TRUE" if from_end and may_be_missing(column) else "FALSE"),
        **{place: sql.SQL(_literal(part)).format(column=value, beyond=beyond) for place, part in parts.items()},
    )


def _places(column: str, *, descending: bool, reverse: bool) -> sql.Composed:
    exact = sql.SQL("is_exact") + _DIRECTIONS[not reverse] + sql.SQL(", ")
    return exact + _order(sql.SQL("key"), column, descending=descending, reverse=reverse)


def _order(value: sql.SQL, column: str, *, descending: bool, reverse: bool = False) -> sql.Composed:
    """Missing values are last, and equal ones are in the order of id. Neither is said where there are none.

    So an index gives the order in both directions.
    """
    order = value + _DIRECTIONS[descending != reverse]
    if may_be_missing(column):
        order += _GAPS[reverse]
    if not is_unique(column):
        order += sql.SQL(", id") + _DIRECTIONS[reverse]
    return order


def _literal(name: str) -> LiteralString:
    return QUERIES[name].decode()
