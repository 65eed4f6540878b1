"""Who is due gets what it lacks: one frame for all in the same state, in slices, and nobody waits for a slow client."""

import asyncio
import logging
import time
from collections.abc import Iterable

from webapp.client import Client, Moment, Refusal

logger = logging.getLogger(__name__)

SLICE = 128  # clients between two turns of whatever else waits for the loop: about a millisecond
TICK_S = 0.025
INTERNAL_ERROR = 1011


class Broadcast:
    """Writes to the clients that are due.

    A client is due or not: nothing is queued for it. A connection that is behind is passed over, and gets the newest
    state when it has drained; a client that had its share of frames is due again at its next turn.
    """

    def __init__(self) -> None:
        self._due: dict[Client, None] = {}  # in the order in which they joined, as the kernel has their sockets
        self._woken = asyncio.Event()
        self._later: dict[int, set[Client]] = {}
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
                elif client.not_before > now:
                    self._postpone(client)
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

    def _postpone(self, client: Client) -> None:
        """Wake a client at its turn, together with all whose turn is about then."""
        self.postponed += 1
        tick = int(client.not_before / TICK_S) + 1
        if tick not in self._later:
            self._later[tick] = set()
            asyncio.get_running_loop().call_later(tick * TICK_S - time.monotonic(), self._wake_postponed, tick)
        self._later[tick].add(client)

    def _wake_postponed(self, tick: int) -> None:
        self.wake(self._later.pop(tick))


def _close(client: Client, refusal: Refusal) -> None:
    if client.connection is not None:
        client.connection.close(refusal.code, refusal.reason)
