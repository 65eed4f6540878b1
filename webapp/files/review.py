"""What an import would do: the rows of a file set against the items that they mean."""

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import DictRow

from webapp.files.rows import Problem
from webapp.postgres.queries import QUERIES
from webapp.stock.items import MAX_QUANTITY

Connection = psycopg.Connection[DictRow]

SHOWN_PROBLEMS = 100
SHOWN_ITEMS = 50

REASONS = {
    "name twice": "Line {other} has the same name.",
    "code twice": "Line {other} has the same code.",
    "item twice": "Line {other} is about the same item.",
    "other code": "The item of this name has another code: {other}.",
    "name taken": "Another item is called “{other}” now. Rename that one first, in an import of its own.",
    "no name": "No item has this code; a new one needs a name.",
    "no quantity": "There is no item of this name; a new one needs a quantity.",
    "not there": "There is no item of this name to take from.",
    "too few": "Only {other} are in stock.",
    "too many": f"The quantity would exceed {MAX_QUANTITY}.",
}
COLUMNS_OF_REASONS = {"name twice": "name", "code twice": "code", "other code": "code", "name taken": "name"}
COLUMNS_OF_REASONS |= {"no name": "name", "no quantity": "quantity", "not there": "delta"}
COLUMNS_OF_REASONS |= {"too few": "delta", "too many": "delta"}


@dataclass(slots=True)
class Problems:
    """The first rows that cannot be imported, in the order of their lines, and how many there are."""

    first: list[Problem] = field(default_factory=list)
    count: int = 0

    def note(self, problem: Problem) -> None:
        """Count a problem, and keep it if it is one of the first."""
        self.count += 1
        if len(self.first) < SHOWN_PROBLEMS:
            self.first.append(problem)


@dataclass(frozen=True, slots=True)
class Review:
    """What an import would do; `changes` and `additions` are the first of them, `digest` names what it is based on."""

    token: str
    file_name: str
    columns: list[str]
    unused: list[str]
    added: int
    changed: int
    unchanged: int
    digest: str
    problems: Problems
    changes: list[DictRow]
    additions: list[DictRow]


def review_rows(connection: Connection, imported: DictRow, problems: Problems) -> Review:
    """Set the rows against the items; problems found here are added to those of reading."""
    for query in ("make_review", "clear_review", "fill_review", "analyze_review"):
        connection.execute(QUERIES[query], imported if query == "fill_review" else None)
    counts = one_row(connection, "review_counts", imported)
    for row in connection.execute(QUERIES["review_problems"], {"limit": SHOWN_PROBLEMS}):
        problems.first.append(_problem(row))
    problems.first = sorted(problems.first, key=lambda problem: problem.line)[:SHOWN_PROBLEMS]
    problems.count += counts.pop("problems")
    limit = {"limit": SHOWN_ITEMS}
    changes = connection.execute(QUERIES["review_changes"], limit).fetchall()
    additions = connection.execute(QUERIES["review_additions"], limit).fetchall()
    about = {name: imported[name] for name in ("token", "file_name", "columns", "unused")}
    return Review(**about, **counts, problems=problems, changes=changes, additions=additions)


def _problem(row: DictRow) -> Problem:
    column = COLUMNS_OF_REASONS.get(row["problem"], "")
    return Problem(row["line"], column, REASONS[row["problem"]].format(other=row["other"]))


def one_row(connection: Connection, query: str, values: Any = None) -> DictRow:
    """Return the one row of a query that always has one."""
    (row,) = connection.execute(QUERIES[query], values).fetchall()
    return row
