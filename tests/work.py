"""Counts what the application does, by wrapping what every part of it must go through."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import psycopg
from psycopg import sql

from webapp.postgres.queries import QUERIES, SQL
from webapp.rendering import Renderer
from webapp.sockets.client import Frames

# Once for all pages, and whether or not anything has changed; and once a second at most, to one page.
OF_TIME = {"live/beat.html": 'hx-target="#beat"', "live/receipt.html": 'hx-target="#receipt"'}


@dataclass
class Work:
    """Named queries, templates and frames, each with how often; what time alone brings is left out."""

    queries: Counter[str] = field(default_factory=Counter)
    renders: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Count from now on."""
        for counts in (self.queries, self.renders, self.frames):
            counts.clear()

    def note_query(self, query: object) -> None:
        statement = query.as_bytes(None) if isinstance(query, sql.Composable) else query
        name = _name(statement) if isinstance(statement, bytes) else None
        if name and name not in _OF_THE_FEED:
            self.queries[name] += 1

    def note_render(self, template: str) -> None:
        if template not in OF_TIME:
            self.renders[template] += 1

    def note_frame(self, text: str) -> None:
        if not any(target in text for target in OF_TIME.values()):
            self.frames[text] += 1


@contextmanager
def counted_work() -> Iterator[Work]:
    """Count while the context lasts, in all applications that are started in it."""
    work = Work()
    execute: Callable[..., Any] = psycopg.AsyncConnection.execute
    render, of = Renderer.render, Frames.of

    async def counted_execute(self: Any, query: Any, *others: Any, **options: Any) -> Any:
        work.note_query(query)
        return await execute(self, query, *others, **options)

    def counted_render(self: Renderer, template: str, **values: Any) -> str:
        work.note_render(template)
        return render(self, template, **values)

    def counted_frame(text: str) -> Frames:
        work.note_frame(text)
        return of(text)

    with (
        patch.object(psycopg.AsyncConnection, "execute", counted_execute),
        patch.object(Renderer, "render", counted_render),
        patch.object(Frames, "of", counted_frame),
    ):
        yield work


def _start(statement: bytes) -> bytes:
    """Return what is before the first place that is filled in."""
    return statement.partition(b"{")[0]


def _name(statement: bytes) -> str | None:
    """Return the name of a query, also of one whose places were filled in; None of a statement that has no name."""
    names = [name for name, query in QUERIES.items() if statement.startswith(_start(query))]
    return max(names, key=lambda name: len(_start(QUERIES[name])), default=None)


def _names_in(file: str) -> list[str]:
    path = SQL / "queries" / file
    return re.findall(r"^-- (\w+) --$", path.read_text(), re.MULTILINE) if path.exists() else []


_OF_THE_FEED = {
    *_names_in("feed.sql"),
    *_names_in("courier.sql"),
    *_names_in("operations.sql"),
    "any_account",
}  # asked again and again while nothing changes
