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

from webapp.client import Frames
from webapp.queries import QUERIES, SQL
from webapp.rendering import Renderer

OF_THE_FEED = frozenset(re.findall(r"^-- (\w+) --$", (SQL / "queries/feed.sql").read_text(), re.MULTILINE))
BEAT = "live/beat.html"  # once for all pages, and whether or not anything has changed


@dataclass
class Work:
    """Named queries, templates rendered and frames built, each with how often; those that only time brings left out."""

    queries: Counter[str] = field(default_factory=Counter)
    renders: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Count from now on."""
        for counts in (self.queries, self.renders, self.frames):
            counts.clear()

    def note_query(self, query: object) -> None:
        if (name := _name(query)) not in OF_THE_FEED:
            self.queries[name] += 1

    def note_render(self, template: str) -> None:
        if template != BEAT:
            self.renders[template] += 1

    def note_frame(self, text: str) -> None:
        if 'hx-target="#beat"' not in text:
            self.frames[text] += 1


@contextmanager
def counted_work() -> Iterator[Work]:
    """Count while the context lasts, in all applications that are started in it."""
    work = Work()
    execute: Callable[..., Any] = psycopg.AsyncConnection.execute
    render, of = Renderer.render, Frames.of.__func__  # type: ignore[attr-defined]

    async def counted_execute(self: Any, query: Any, *others: Any, **options: Any) -> Any:
        if query:  # an empty one asks whether the server is there
            work.note_query(query)
        return await execute(self, query, *others, **options)

    def counted_render(self: Renderer, template: str, **values: Any) -> str:
        work.note_render(template)
        return render(self, template, **values)

    def counted_frame(cls: type[Frames], text: str) -> Frames:
        work.note_frame(text)
        return of(cls, text)  # type: ignore[no-any-return]

    with (
        patch.object(psycopg.AsyncConnection, "execute", counted_execute),
        patch.object(Renderer, "render", counted_render),
        patch.object(Frames, "of", classmethod(counted_frame)),
    ):
        yield work


def _name(query: object) -> str:
    """Return the name of a query, also of one whose places were filled in; others by their first words."""
    text = query.as_bytes(None) if isinstance(query, sql.Composable) else _bytes(query)
    found = [name for name, known in QUERIES.items() if text.startswith(known.split(b"{")[0])]
    return max(found, key=lambda name: len(QUERIES[name].split(b"{")[0]), default=text[:40].decode())


def _bytes(query: object) -> bytes:
    return query if isinstance(query, bytes) else str(query).encode()
