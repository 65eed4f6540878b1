"""Several processes that serve one listening socket: replaced when they die, renewed one after the other.

uvicorn has a supervisor too, but its processes do not drain, and while it renews them it neither hears signals nor
notices deaths. One socket for all: whoever has time takes the next connection, and none is lost with the process that
would have accepted it.
"""

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait

from webapp.settings import SetupError

logger = logging.getLogger(__name__)

Serve = Callable[[socket.socket, Connection], None]

WORD_S, SILENCE_LIMIT_S = 1.0, 30.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0
FOR_EVER = float("inf")
STEADY_AFTER_S = 10.0  # what a process that lived for so long died of is not what those before it died of
_SPAWN = multiprocessing.get_context("spawn")  # a new interpreter loads the program anew: it may have been upgraded


class Worker:
    """One process. It says on its pipe, every `WORD_S`, that it serves; SIGTERM asks it to leave."""

    def __init__(self, serve: Serve, listening: socket.socket, generation: int) -> None:
        self.generation = generation
        self.started_at = time.monotonic()
        self.is_ready = False
        self.leaves_by = self.speaks_by = FOR_EVER
        self.pipe, theirs = _SPAWN.Pipe(duplex=False)
        self.process = _SPAWN.Process(target=serve, args=(listening, theirs))
        self.process.start()
        theirs.close()

    def listen(self, silence_limit_s: float) -> None:
        """Hear that it serves, and by when to hear it again; where it dies instead, the pipe ends."""
        with suppress(EOFError, OSError):
            self.pipe.recv_bytes()
            if not self.is_ready:
                logger.info("process %d serves", self.process.pid)
            self.is_ready = True
            self.speaks_by = time.monotonic() + silence_limit_s

    @property
    def is_leaving(self) -> bool:
        """Whether it was asked to end."""
        return self.leaves_by < FOR_EVER

    def leave(self, within_s: float) -> None:
        """Ask it to drain and end."""
        if not self.is_leaving:
            self.leaves_by = time.monotonic() + within_s
            self.process.terminate()
            logger.info("process %d leaves", self.process.pid)


class Supervisor:
    """Keeps `count` processes serving until SIGTERM or SIGINT; SIGHUP renews them. One that falls silent is killed.

    To renew them a new one comes first, then an old one leaves: where no new one can start, the old ones go on.
    """

    def __init__(
        self,
        count: int,
        serve: Serve,
        listening: socket.socket,
        *,
        leave_limit_s: float,
        silence_limit_s: float = SILENCE_LIMIT_S,
    ) -> None:
        self._count = count
        self._serve = serve
        self._listening = listening
        self._leave_limit_s = leave_limit_s
        self._silence_limit_s = silence_limit_s
        self._workers: list[Worker] = []
        self._generation = 0
        self._failures = 0
        self._next_start_at = 0.0
        self._is_ending = False

    def run(self, when_ready: Callable[[], None]) -> None:
        """Return when all have ended. Raises `SetupError` if not even the first ones can start."""
        with _signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            self._run(signals, when_ready)

    def _run(self, signals: int, when_ready: Callable[[], None]) -> None:
        has_served = False
        while self._workers or not self._is_ending:
            self._start_what_is_missing()
            self._retire_what_is_old()
            for number in self._wait(signals):
                self._obey(number)
            self._bury_the_dead()
            if not has_served and self._failures:
                self._end()
            elif not has_served and len(self._ready()) == self._count:
                has_served = True
                when_ready()
        if self._failures and not has_served:
            raise SetupError("A process could not start: what it said stands above.")

    def _ready(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.is_ready and not worker.is_leaving]

    def _start_what_is_missing(self) -> None:
        """All at once where none serves, else one at a time."""
        while not self._is_ending and time.monotonic() >= self._next_start_at:
            new = [each for each in self._workers if each.generation == self._generation and not each.is_leaving]
            if len(new) >= self._count or (self._ready() and not all(worker.is_ready for worker in new)):
                break
            self._workers.append(Worker(self._serve, self._listening, self._generation))

    def _retire_what_is_old(self) -> None:
        old = [worker for worker in self._ready() if worker.generation < self._generation]
        for worker in old[: max(0, len(self._ready()) - self._count)]:
            worker.leave(self._leave_limit_s)

    def _wait(self, signals: int) -> list[signal.Signals]:
        """Wait until something happens or is due; return the signals that came."""
        ends = [worker.process.sentinel for worker in self._workers]
        pipes = {worker.pipe: worker for worker in self._workers}
        limits = [min(worker.leaves_by, worker.speaks_by) for worker in self._workers]
        now = time.monotonic()
        next_s = min((at for at in (self._next_start_at, *limits) if at > now), default=FOR_EVER) - now
        happened = wait([signals, *ends, *pipes], next_s if next_s < FOR_EVER else None)
        for pipe, worker in pipes.items():
            if pipe in happened:
                worker.listen(self._silence_limit_s)
        return [signal.Signals(number) for number in os.read(signals, 100)] if signals in happened else []

    def _obey(self, number: signal.Signals) -> None:
        if number is not signal.SIGHUP:
            self._end()
        elif not self._is_ending:
            self._generation += 1
            self._failures, self._next_start_at = 0, 0.0
            logger.info("all processes are renewed, one after the other")

    def _end(self) -> None:
        self._is_ending = True
        for worker in self._workers:
            worker.leave(self._leave_limit_s)

    def _bury_the_dead(self) -> None:
        now = time.monotonic()
        for worker in self._workers.copy():
            if now > min(worker.leaves_by, worker.speaks_by):
                worker.process.kill()
            if worker.process.exitcode is None:
                continue
            self._workers.remove(worker)
            worker.pipe.close()
            if not worker.is_leaving:
                self._note_death(worker, now)

    def _note_death(self, worker: Worker, now: float) -> None:
        """Let it be replaced; later and later where those who replace it die as well."""
        is_steady = worker.is_ready and now - worker.started_at > STEADY_AFTER_S
        self._failures = 0 if is_steady else self._failures + 1
        self._next_start_at = now + (0 if is_steady else min(FIRST_PAUSE_S * 2**self._failures, LONGEST_PAUSE_S))
        logger.error("process %d ended unasked, with status %d", worker.process.pid, worker.process.exitcode)


@contextmanager
def _signals(*numbers: signal.Signals) -> Iterator[int]:
    """Give a file that tells each of these signals as a byte, instead of what they do by themselves."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    others = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(others)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
