"""How a server leaves without a stir: nobody's request fails, and its live pages do not all come back at once."""

import asyncio
import random
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

import uvicorn

from webapp.sockets.peer import Peer

CLOSED_PER_S = 1_000  # so many pages a new process takes in without haste
DRAIN_LIMIT_S = 5.0
KEEP_ALIVE_GRACE_S = 0.5  # whoever sends a request in that time is told that it was the last on its connection
SLICE_S = 0.02
DATE_S = 1.0  # the age that the date in answers may have


class DrainingServer(uvicorn.Server):
    """Drains when it is terminated; Ctrl-C is for somebody who waits, and ends it at once.

    The application may name in its lifespan's state what it does when the server begins to leave: `leave`.
    """

    is_hurried = False
    _wake: Callable[[], object] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take note of a signal that ends the server."""
        self.is_hurried = self.is_hurried or sig == signal.SIGINT
        super().handle_exit(sig, frame)
        if self._wake is not None:
            self._wake()

    async def main_loop(self) -> None:
        """Keep the date until a signal comes, for which uvicorn looks ten times a second."""
        signalled = asyncio.Event()
        self._wake = partial(asyncio.get_running_loop().call_soon_threadsafe, signalled.set)
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(DATE_S):
                    await signalled.wait()
        self._wake = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody, let go of everybody, and end."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        if leave := self.lifespan.state.get("leave"):
            leave()
        if not self.is_hurried:
            await self._drain()
        await super().shutdown(sockets)

    async def _drain(self) -> None:
        began_at = time.monotonic()
        peers = [each for each in self.server_state.connections if isinstance(each, Peer)]
        random.shuffle(peers)
        count, per_s = len(peers), max(CLOSED_PER_S, len(peers) / DRAIN_LIMIT_S)
        while (peers or self._has_grace(began_at)) and not self.is_hurried:
            due = 1 + int((time.monotonic() - began_at) * per_s)
            while peers and count - len(peers) < due:
                peers.pop().shutdown()
            await asyncio.sleep(SLICE_S)

    def _has_grace(self, began_at: float) -> bool:
        return bool(self.server_state.connections) and time.monotonic() < began_at + KEEP_ALIVE_GRACE_S
