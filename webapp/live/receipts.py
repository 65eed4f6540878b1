"""Commit to screen: now and then a page is asked to say when it shows a change, which tells how long that took."""

import asyncio
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import psycopg
from prometheus_client import Histogram

from webapp.live.changes import Changes
from webapp.live.live_view import LiveView
from webapp.live.pieces import Pieces
from webapp.postgres.pool import Pool, use_connection
from webapp.postgres.queries import QUERIES
from webapp.sockets.client import Frames

ASK_EVERY_S = 1.0
LATE_AFTER_S = 10.0  # a receipt that takes longer is none: the tab was put to sleep
MOST_OPEN = 16
RECENT = 600
BUCKETS_S = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0)


class Asked(Protocol):
    """A page that can be asked."""

    views: tuple[LiveView, ...]

    def ask(self, question: "Question") -> None:
        """Put the question once the page has been sent what is coming; or do not, if it is not to be sent anything."""


class Question:
    """Whether a page shows a change; to be put when the page has been sent all that the change alters of its views."""

    __slots__ = ("_receipts", "_refreshes", "change_id")

    def __init__(self, receipts: "Receipts", change_id: int, views: Iterable[LiveView]) -> None:
        self._receipts = receipts
        self._refreshes = {view: 0 if view.is_settled() else view.refreshes_started + 1 for view in views}
        self.change_id = change_id

    @property
    def is_idle(self) -> bool:
        """Whether the change alters nothing that the page shows."""
        return not any(self._refreshes.values())

    def is_due(self) -> bool:
        """Whether what the views show now has the change in it, and the page waits for none of them."""
        return not any(view.is_about_to_show() for view in self._refreshes) and all(
            view.is_settled() or view.refreshes_finished >= refresh for view, refresh in self._refreshes.items()
        )

    def put_to(self, page: Asked) -> Frames:
        """Return the frame that asks; only this page can answer it, once."""
        return self._receipts.frame(page, self.change_id)


@dataclass(frozen=True, slots=True)
class Open:
    """A question that was put to a page, and when (`time.monotonic`)."""

    page: Asked
    change_id: int
    put_at: float


@dataclass(frozen=True, slots=True)
class Sample:
    """How many seconds passed from the writing of a change to its receipt, which came at a moment."""

    at: float
    seconds: float


class Receipts:
    """Asks, takes the answers, and measures.

    An answer is the word of a browser: it counts only if it has the token of a question that was put to the same
    page a moment ago and has not been answered.
    """

    def __init__(self, pool: Pool, pieces: Pieces) -> None:
        self._pool = pool
        self._pieces = pieces
        self._ask_at = 0.0
        self._open: OrderedDict[str, Open] = OrderedDict()
        self._taken: asyncio.Queue[tuple[int, float]] = asyncio.Queue(MOST_OPEN)
        self.asked = self.refused = 0
        self.recent: deque[Sample] = deque(maxlen=RECENT)
        self.commit_to_screen = Histogram(
            "live_inventory_commit_to_screen_seconds",
            "From the writing of a change to a browser's word that it is in its page; sampled.",
            buckets=BUCKETS_S,
            registry=None,
        )

    def choose(self, changes: Changes, pages: Collection[Asked]) -> None:
        """Ask, at most once a second, a page of many for a change of many; call it when the views have heard them."""
        now = time.monotonic()
        if now < self._ask_at or not pages:
            return
        self._ask_at = now + ASK_EVERY_S
        page = next(islice(pages, secrets.randbelow(len(pages)), None))
        question = Question(self, secrets.choice(changes.changes).id, page.views)
        if not question.is_idle:
            page.ask(question)

    def frame(self, page: Asked, change_id: int) -> Frames:
        """Return the frame that puts a question to a page. The oldest question that is open gives way."""
        token = secrets.token_urlsafe(12)
        self._open[token] = Open(page, change_id, time.monotonic())
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        self.asked += 1
        return Frames.of(self._pieces.render("live/receipt.html", token=token))

    def take(self, page: Asked, token: object) -> None:
        """Take what a page says; what it was not asked, or too late, is dropped."""
        now = time.monotonic()
        asked = self._open.get(token) if isinstance(token, str) else None
        if asked is None or asked.page is not page:
            self.refused += 1
            return
        del self._open[str(token)]
        if now - asked.put_at > LATE_AFTER_S or self._taken.full():
            self.refused += 1
        else:
            self._taken.put_nowait((asked.change_id, now))

    async def measure(self) -> None:
        """Find how old the changes were when their receipts came, for ever."""
        while True:
            change_id, taken_at = await self._taken.get()
            with suppress(psycopg.Error, OSError):
                await self._measure(change_id, taken_at)

    async def _measure(self, change_id: int, taken_at: float) -> None:
        """Both ends are read from the database's clock, so that no other has to agree with it.

        It is asked a moment later; that moment, and half of the way there and back, are taken off.
        """
        async with use_connection(self._pool) as connection:
            asked_at = time.monotonic()
            rows = await (await connection.execute(QUERIES["age_of_change"], {"id": change_id})).fetchall()
            read_at = (asked_at + time.monotonic()) / 2
        for row in rows:
            seconds = row["age_s"] - (read_at - taken_at)
            if seconds >= 0:  # the database's clock was not put back meanwhile
                self.commit_to_screen.observe(seconds)
                self.recent.append(Sample(taken_at, seconds))
