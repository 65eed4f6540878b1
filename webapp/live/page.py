"""One open page, as the server sees it: what it shows, whether it is held, and what to send it next."""

import json
import time
from collections.abc import Hashable
from typing import NamedTuple, Protocol

from webapp.live.live_view import Cursor, LiveView
from webapp.live.receipts import Question, Receipts
from webapp.live.turns import turn_after
from webapp.rendering import build
from webapp.sockets.client import POLICY_VIOLATION, Client, Frames, Moment, Refusal, Waker, framed

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


class Shown(NamedTuple):
    """What a page shows, has been told and is still to be told; pages that are alike in it get the same next."""

    items: Cursor
    summary: Cursor | None
    is_held: bool
    version: str = ""
    beat: int = UNTOLD
    waiting: int | None = UNTOLD


class Step(NamedTuple):
    """What comes next: the frame, whether it changes what is shown, and what the page then shows."""

    frames: Frames | None
    is_change: bool
    shown: Shown


class Page(Client):
    """What one page shows, as the page says itself at each connection, and moves on with what it takes.

    A held page is one that asked not to be written to: its cursor stays where it is, and it is told how much waits.
    """

    __slots__ = ("_company", "_question", "_resume_by", "_shown", "view", "views")

    def __init__(
        self,
        waker: Waker,
        company: Company,
        view: Hashable,
        views: tuple[LiveView, ...],
    ) -> None:
        super().__init__(waker)
        self.view = view
        self.views = views
        self._company = company
        self._shown: Shown | None = None
        self._question: Question | None = None
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
        names = ("revision", "summary")
        cursors = [view.watch(self, _revision(message, name)) for view, name in zip(self.views, names, strict=False)]
        is_old = message.get("build", build()) != build()
        version = self._company.version_text(is_old=is_old) if is_old != ("told" in message) else ""
        self._shown = Shown(cursors[0], cursors[1] if cursors[1:] else None, bool(message.get("hold")), version)

    def ask(self, question: Question) -> None:
        """Have the page say when it shows what is coming, if that is sent to it at all."""
        if self._shown is not None and not self._shown.is_held:
            self._question = question

    def take(self, moment: Moment) -> Frames | None:
        """Return whatever the page lacks, in one frame, never older states."""
        if self._shown is None:
            if moment.now > self._resume_by:
                raise Refusal(POLICY_VIOLATION, "no resume message")
            return None
        if (step := moment.found.get(self._shown)) is None:
            step = moment.found[self._shown] = self._next(self._shown)
        frames, is_change, self._shown = step
        if is_change:  # a beat costs no turn, or the change right behind it would wait
            self.not_before = turn_after(self.not_before, moment.now)  # one pace, however many views it has
        if self._question is not None and self._question.is_due():
            question, self._question = self._question, None
            if frames and is_change:
                self._frames_left += 1  # an answer that was asked for costs the page nothing
                return Frames.joined((frames, question.put_to(self)))
        return frames

    def _next(self, shown: Shown) -> Step:
        """Return the next step of all pages that show this, whichever page is asked."""
        if any(view.is_about_to_show() for view in self.views):
            return Step(None, is_change=False, shown=shown)  # what changes together shall come together
        items_text, shown = self._next_items(shown)
        summary_text, shown = _next_summary(shown)
        beat_text, shown = self._next_beat(shown)
        texts = (items_text, summary_text, shown.version, beat_text)
        is_change = bool(items_text or summary_text)
        return Step(framed(texts) if any(texts) else None, is_change, shown._replace(version=""))

    def _next_items(self, shown: Shown) -> tuple[str, Shown]:
        if not shown.is_held:
            text, items = shown.items.advance()
            return text, shown._replace(items=items)
        waiting = shown.items.count_waiting()
        text = "" if waiting == shown.waiting else self._company.waiting_text(waiting)
        return text, shown._replace(waiting=waiting)

    def _next_beat(self, shown: Shown) -> tuple[str, Shown]:
        """Tell that the page is live, as soon as what it shows is certain."""
        is_waiting = shown.items.is_waiting or (shown.summary is not None and shown.summary.is_waiting)
        if shown.beat == self._company.beats or is_waiting or not all(view.is_certain() for view in self.views):
            return "", shown
        return self._company.beat_text(), shown._replace(beat=self._company.beats)


def _next_summary(shown: Shown) -> tuple[str, Shown]:
    if shown.summary is None:
        return "", shown
    text, summary = shown.summary.advance()
    return text, shown._replace(summary=summary)


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
