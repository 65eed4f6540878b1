"""The raw notifications, for programs: each payload is framed once, and every reader has its place in one log."""

from collections.abc import Iterator
from itertools import islice

from webapp.sockets.client import TRY_AGAIN_LATER, Client, Frames, Moment, Refusal, Waker

MAX_WAITING_PAYLOADS = 10_000  # one transaction can send thousands at once; raw payloads cannot be conflated
PAYLOADS_AT_ONCE = 100


class Payload:
    """An entry of the log. It knows the next: what all readers have had, nobody points to, and it is gone."""

    __slots__ = ("frames", "next", "number")

    def __init__(self, number: int, frames: Frames) -> None:
        self.number = number
        self.frames = frames
        self.next: Payload | None = None


class PayloadLog:
    """The payloads from the place of the slowest reader on."""

    def __init__(self, waker: Waker) -> None:
        self._waker = waker
        self.last = Payload(0, Frames((), b""))
        self.readers: dict[Reader, None] = {}  # in order of joining

    def open_reader(self) -> "Reader":
        """Return a reader of the payloads from now on."""
        return Reader(self._waker, self)

    def add(self, text: str) -> None:
        """Give a payload to the readers."""
        if self.readers:
            payload = Payload(self.last.number + 1, Frames.of(text))
            self.last.next = self.last = payload
            self._waker.wake(self.readers)


class Reader(Client):
    """A program that gets every payload as it is, as long as it keeps up."""

    __slots__ = ("_last", "_log")

    def __init__(self, waker: Waker, log: PayloadLog) -> None:
        super().__init__(waker)
        self._log = log
        self._last = log.last
        log.readers[self] = None

    def lost(self) -> None:
        """Leave the log."""
        super().lost()
        self._log.readers.pop(self, None)

    def take(self, moment: Moment) -> Frames | None:  # noqa: ARG002
        """Return the payload that came since; some of them, if there are many."""
        payload = self._last.next
        if payload is None:
            return None
        if payload.next is None:
            self._last = payload
            return payload.frames
        payloads = list(islice(self._following(), PAYLOADS_AT_ONCE))
        if self._last is not self._log.last:
            self._waker.wake((self,))
        return Frames.joined(payload.frames for payload in payloads)

    def wait(self, behind_since: float, now: float) -> None:
        """Be patient, unless too many payloads wait. Raises `Refusal`."""
        super().wait(behind_since, now)
        if self._log.last.number - self._last.number > MAX_WAITING_PAYLOADS:
            raise Refusal(TRY_AGAIN_LATER, "too slow a reader")

    def _following(self) -> Iterator[Payload]:
        while self._last.next is not None:
            self._last = self._last.next
            yield self._last
