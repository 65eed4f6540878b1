"""Pings: how a connection notices that nobody is at the other end any more."""

import asyncio
import random
from collections.abc import Callable

from websockets.frames import Frame, Opcode

INTERNAL_ERROR = 1011
PING_TICKS = 20  # in an interval
PING = Frame(Opcode.PING, b"").serialize(mask=False)
PONG, PONG_BYTES = b"\x8a\x80", 6  # how one begins that holds nothing, and with its mask


class Keepalive(asyncio.Protocol):
    """A connection that is closed when it answers no ping. Its one timer is for the next ping, or for the end."""

    __slots__ = ("_is_silent", "_timer", "_transport", "behind_since")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.behind_since: float | None = None
        self._transport = transport
        self._is_silent = False
        self._timer: asyncio.TimerHandle | None = None

    def close(self, code: int, reason: str) -> None:
        """Begin to close with a code and a reason."""
        raise NotImplementedError

    def _start_keepalive(self, interval_s: float | None) -> None:
        """Ping at each interval; at first at random, so that those who came together are not pinged together."""
        if interval_s:
            self._ping_after(random.uniform(interval_s / 2, interval_s), interval_s)  # noqa: S311

    def _keep_alive(self, interval_s: float) -> None:
        """Close if nothing came since the last ping. Who is behind is not read, and the broadcast's patience ends."""
        if self.behind_since is None:
            if self._is_silent:
                self.close(INTERNAL_ERROR, "keepalive ping timeout")
                return
            self._is_silent = True
            self._transport.write(PING)
        self._ping_after(interval_s, interval_s)

    def _ping_after(self, seconds: float, interval_s: float) -> None:
        """Ping together with others: to wake up for each of thousands costs more than the pings do."""
        now, tick_s = asyncio.get_running_loop().time(), interval_s / PING_TICKS
        self._start_timer(round((now + seconds) / tick_s) * tick_s - now, self._keep_alive, interval_s)

    def _start_timer(self, seconds: float, act: Callable[..., object], *arguments: float) -> None:
        """Have one thing done later, in place of what was to be done."""
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, act, *arguments)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def is_pong(data: bytes) -> bool:
    """Whether this is one pong as browsers and libraries answer `PING`: masked, and with nothing in it."""
    return len(data) == PONG_BYTES and data.startswith(PONG)
