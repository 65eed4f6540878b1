"""One open page, as the server sees it: what it shows, whether it is held, and what to send it next."""

import json
import time
from typing import Protocol

from webapp.client import POLICY_VIOLATION, Client, Frames, Refusal, Waker, framed
from webapp.item_view import ItemView
from webapp.live import REFRESH_BURST, REFRESH_INTERVAL_S, Cursor, LiveView
from webapp.receipts import Question, Receipts
from webapp.rendering import build
from webapp.views import View

RESUME_LIMIT_S = 15.0
UNTOLD = -1


class Company(Protocol):
    """What all pages share, the hub."""

    beats: int
    receipts: Receipts

    def leave(self, page: "Page") -> None:
        """Forget a page."""

    def beat_text(self) -> str:
        """Return the newest beat; nothing if the change feed is not sure of what it told."""

    def waiting_text(self, count: int | None) -> str:
        """Tell a page that is held how many changes wait for it."""

    def version_text(self, *, is_old: bool) -> str:
        """Tell a page that there is a new version of it, or take that back."""


class Page(Client):
    """The cursors of what a page shows, and which beat it has heard.

    A held page is one that asked not to be written to: its cursor stays where it is, and it is told how much waits.
    """

    __slots__ = (
        "_beat_told",
        "_company",
        "_is_held",
        "_items",
        "_question",
        "_resume_by",
        "_summary",
        "_version",
        "_waiting_told",
        "view",
        "views",
    )

    def __init__(
        self,
        waker: Waker,
        company: Company,
        view: View | ItemView,
        views: tuple[LiveView, ...],
    ) -> None:
        super().__init__(waker)
        self.view = view
        self.views = views
        self._company = company
        self._items: Cursor | None = None
        self._summary: Cursor | None = None
        self._beat_told = UNTOLD
        self._is_held = False
        self._question: Question | None = None
        self._version = ""
        self._waiting_told: int | None = UNTOLD
        self._resume_by = time.monotonic() + RESUME_LIMIT_S

    def lost(self) -> None:
        """Follow no longer."""
        super().lost()
        for view in self.views:
            view.unwatch(self)
        self._company.leave(self)

    def hear(self, text: str) -> None:
        """Take a receipt, or follow the views from what the page says it shows."""
        message = _parse(text)
        if "receipt" in message:
            self._company.receipts.take(self, message["receipt"])
        elif message.get("type") == "resume":
            self._resume(message)
        else:
            raise Refusal(POLICY_VIOLATION, "not a resume message")

    def _resume(self, message: dict[str, object]) -> None:
        """The page shall hear at once that it is live."""
        self._beat_told = self._waiting_told = UNTOLD
        self._is_held = bool(message.get("hold"))
        is_old = message.get("build", build()) != build()
        self._version = self._company.version_text(is_old=is_old) if is_old != ("told" in message) else ""
        self._items = self.views[0].watch(self, _revision(message, "revision"))
        if len(self.views) > 1:
            self._summary = self.views[1].watch(self, _revision(message, "summary"))

    def ask(self, question: Question) -> None:
        """Have the page say when it shows what is coming, if that is sent to it at all."""
        if self._items is not None and not self._is_held:
            self._question = question

    def take(self) -> Frames | None:
        """Return whatever the page lacks, in one frame, never older states."""
        if self._items is None:
            if time.monotonic() > self._resume_by:
                raise Refusal(POLICY_VIOLATION, "no resume message")
            return None
        items, summary, beat = self._take_items(self._items), self._take_summary(), self._take_beat()
        if items or summary:  # a beat costs no turn, or the change right behind it would wait
            self._wait_for_turn()
        version, self._version = self._version, ""
        parts = (items, summary, version, beat)
        frames = framed(parts) if any(parts) else None
        if self._question is not None and self._question.is_due():
            question, self._question = self._question, None
            if frames and (items or summary):
                self._frames_left += 1  # an answer that was asked for costs the page nothing
                return Frames.joined((frames, question.put_to(self)))
        return frames

    def _wait_for_turn(self) -> None:
        """Views are refreshed at different moments; a page gets no more frames for that than one view makes."""
        burst_began_at = time.monotonic() - (REFRESH_BURST - 1) * REFRESH_INTERVAL_S
        self.not_before = max(self.not_before, burst_began_at) + REFRESH_INTERVAL_S

    def _take_items(self, cursor: Cursor) -> str:
        if not self._is_held:
            return cursor.take_frame() or ""
        waiting = cursor.count_waiting()
        if waiting == self._waiting_told:
            return ""
        self._waiting_told = waiting
        return self._company.waiting_text(waiting)

    def _take_summary(self) -> str:
        return (self._summary.take_frame() or "") if self._summary else ""

    def _take_beat(self) -> str:
        """Tell the page that it is live, as soon as what it shows is certain."""
        if self._beat_told == self._company.beats or not all(view.is_certain() for view in self.views):
            return ""
        self._beat_told = self._company.beats
        return self._company.beat_text()


def _parse(text: str) -> dict[str, object]:
    """Read a message. Raises `Refusal`."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(POLICY_VIOLATION, "not JSON") from error
    if not isinstance(message, dict):
        raise Refusal(POLICY_VIOLATION, "not a resume message")
    return message


def _revision(message: dict[str, object], name: str) -> str:
    value = message.get(name)
    return value if isinstance(value, str) else ""
