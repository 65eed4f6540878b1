"""Who is due gets what it lacks: one frame for all in the same state, in slices, and nobody waits for a slow client."""

import asyncio
import logging
import time
from collections.abc import Iterable

from webapp.sockets.client import Client, Moment, Refusal, framed

logger = logging.getLogger(__name__)

SLICE = 128  # clients between two turns of whatever else waits for the loop: about a millisecond
TICK_S = 0.025
LOOK_AGAIN_S = 1.0  # whether a client that is behind has been so for too long
INTERNAL_ERROR = 1011


class Broadcast:
    """Writes to the clients that are due.

    A client is due or not: nothing is queued for it. A connection that is behind is passed over, and gets the newest
    state when it has drained; a client that had its share of frames is due again at its next turn.
    """

    def __init__(self) -> None:
        self._due: dict[Client, None] = {}  # in the order in which they joined, as the kernel has their sockets
        self._woken = asyncio.Event()
        self._later: dict[int, dict[Client, None]] = {}
        self._postponed_until = float("-inf")
        self.frames = self.bytes = self.passed_over = self.postponed = 0  # since the start

    def wake(self, clients: Iterable[Client]) -> None:
        """Note that there may be something to write to clients."""
        self._due.update(dict.fromkeys(clients))
        self._woken.set()

    async def run(self) -> None:
        """Write to whoever is due, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._serve_due()
            if not self._due and self._postponed_until <= time.monotonic():
                framed.cache_clear()  # all that need these frames have them

    async def _serve_due(self) -> None:
        due, self._due = list(self._due), {}
        for start in range(0, len(due), SLICE):
            self._serve(due[start : start + SLICE])
            await asyncio.sleep(0)

    def _serve(self, clients: list[Client]) -> None:
        """Write to a slice of the clients: one loop, for every call counts ten thousand times."""
        moment = Moment(now := time.monotonic(), {})
        frames = wire_bytes = 0
        for client in clients:
            try:
                connection = client.connection
                if connection is None:
                    continue
                if connection.behind_since is not None:
                    self.passed_over += 1
                    client.wait(connection.behind_since, now)
                    self._wake_at(now + LOOK_AGAIN_S, client)
                elif client.not_before > now:
                    self.postponed += 1
                    self._postponed_until = max(self._postponed_until, client.not_before)
                    self._wake_at(client.not_before, client)
                elif lacking := client.take(moment):
                    connection.write(lacking)
                    frames += len(lacking.texts)
                    wire_bytes += len(lacking.wire)
            except Refusal as refusal:
                _close(client, refusal)
            except Exception:
                logger.exception("a client cannot be written to")
                _close(client, Refusal(INTERNAL_ERROR, "an error of the server"))
        self.frames += frames
        self.bytes += wire_bytes

    def _wake_at(self, at: float, client: Client) -> None:
        """Wake a client then, together with all that are to be woken about then."""
        tick = int(at / TICK_S) + 1
        if tick not in self._later:
            self._later[tick] = {}
            asyncio.get_running_loop().call_later(tick * TICK_S - time.monotonic(), self._wake_postponed, tick)
        self._later[tick][client] = None

    def _wake_postponed(self, tick: int) -> None:
        self.wake(self._later.pop(tick))


def _close(client: Client, refusal: Refusal) -> None:
    if client.connection is not None:
        client.connection.close(refusal.code, refusal.reason)
