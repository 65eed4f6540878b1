"""The client at the other end of a WebSocket: what it may send, and how long it may take to read."""

import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, Self

from websockets.frames import Frame, Opcode

FRAMES_KEPT = 512  # of so many different states at a time
MAX_MESSAGE_CHARACTERS = 8_000
MAX_FRAMES = 120  # messages, parts of messages, pings and pongs; browsers send a few a minute
FRAME_WINDOW_S = 60.0
WRITE_LIMIT_S = 30.0
UNSUPPORTED, POLICY_VIOLATION, TOO_BIG, SERVICE_RESTART, TRY_AGAIN_LATER = 1003, 1008, 1009, 1012, 1013


class Refusal(Exception):
    """A client that breaks the rules or is too slow; its socket is closed with the code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(frozen=True, slots=True)
class Frames:
    """Text messages: as texts for servers that frame them, and as the bytes of all their frames."""

    texts: tuple[str, ...]
    wire: bytes

    @classmethod
    def of(cls, text: str) -> Self:
        """Frame a text."""
        return cls((text,), Frame(Opcode.TEXT, text.encode()).serialize(mask=False))

    @classmethod
    def joined(cls, several: Iterable[Self]) -> Self:
        """Put several one after the other, to be written at once."""
        several = tuple(several)
        return cls(tuple(text for each in several for text in each.texts), b"".join(each.wire for each in several))


@lru_cache(FRAMES_KEPT)
def framed(parts: tuple[str, ...]) -> Frames:
    """Frame a text given in parts, once for all who lack the same."""
    return Frames.of("".join(parts))


class Connection(Protocol):
    """A socket to write to. It tells its client of messages, of room for more, and of its end."""

    behind_since: float | None
    """When it ceased to take more (`time.monotonic`); it is not to be written to until it has drained."""

    def write(self, frames: Frames) -> None:
        """Send frames without waiting."""

    def close(self, code: int, reason: str) -> None:
        """Close with a code and a reason; the client is lost at once."""


class Waker(Protocol):
    """Whoever writes to the clients that are due."""

    def wake(self, clients: "Iterable[Client]") -> None:
        """Note that there may be something to write to clients."""


class Moment(NamedTuple):
    """A moment of the broadcast, in which nothing changes: what is found out for one client holds for all like it."""

    now: float
    """`time.monotonic`."""
    found: dict[Hashable, Any]


class Presence(Protocol):
    """What a client takes part in while it is connected."""

    def leave(self) -> None:
        """Take note that the client has gone."""


class Client:
    """What a page and a program have in common. What it lacks is taken when it can be written, never kept for it."""

    __slots__ = ("_frames_left", "_waker", "_window_ends_at", "connection", "not_before", "on_lost", "presences")

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self.connection: Connection | None = None
        self.on_lost: Callable[[], None] | None = None
        self.not_before = 0.0  # `time.monotonic` of its next turn
        self.presences: tuple[Presence, ...] = ()
        self._frames_left = 0
        self._window_ends_at = 0.0

    def spend_frame(self) -> None:
        """Count a frame of whatever kind. Raises `Refusal` when there are too many."""
        now = time.monotonic()
        if now >= self._window_ends_at:
            self._frames_left, self._window_ends_at = MAX_FRAMES, now + FRAME_WINDOW_S
        self._frames_left -= 1
        if self._frames_left < 0:
            raise Refusal(POLICY_VIOLATION, "too many frames")

    def received(self, text: str | None) -> None:
        """Take a message; None stands for a binary one. Raises `Refusal`."""
        if text is None:
            raise Refusal(UNSUPPORTED, "text frames only")
        if len(text) > MAX_MESSAGE_CHARACTERS:
            raise Refusal(TOO_BIG, "too long a message")
        self.hear(text)

    def drained(self) -> None:
        """Take note that the connection has room again."""
        self._waker.wake((self,))

    def lost(self) -> None:
        """Take note that the connection has ended."""
        self.connection = None
        for presence in self.presences:
            presence.leave()
        if self.on_lost is not None:
            self.on_lost()

    def hear(self, text: str) -> None:
        """Act upon a message. Raises `Refusal`."""

    def take(self, moment: Moment) -> Frames | None:
        """Return what the client lacks and count it as had; None: nothing at the moment. Raises `Refusal`."""
        raise NotImplementedError

    def wait(self, behind_since: float, now: float) -> None:
        """Be patient with a connection that is behind. Raises `Refusal` when it was for too long."""
        if now - behind_since > WRITE_LIMIT_S:
            raise Refusal(TRY_AGAIN_LATER, "too slow a reader")
