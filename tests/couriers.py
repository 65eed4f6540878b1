"""Couriers at work, raw consumers of messages_channel, and what is lost between them under stress."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from tests.waiting import until
from webapp.live.courier import Courier
from webapp.live.feed import DedicatedConnection
from webapp.live.listener import Listener

APPLICATION = "courier of the test"
NEVER_S = 3600.0
EAGER: dict[str, Any] = {"rush_transactions": 1, "calm_for_s": 0.02}  # back and forth as often as it can be


class HastyCourier(Courier):
    """The control: hands over without waiting for writers who had left their word to it."""

    async def _hand_over(self, connection: DedicatedConnection) -> bool:
        return True


@asynccontextmanager
async def at_work(
    url: str, kind: type[Courier] = Courier, safety_poll_s: float = NEVER_S, **options: Any
) -> AsyncIterator[Courier]:
    """Run a courier and the listener that it hears from, as a web process does."""
    courier = kind(make_conninfo(url, application_name=APPLICATION), **options)
    listener = Listener(url, courier.hear, safety_poll_s=safety_poll_s)

    async def follow() -> None:
        async for _ in listener.events():
            pass

    tasks = [asyncio.create_task(work) for work in (courier.run(), follow())]
    try:
        await until(lambda: listener.is_certain(within_s=NEVER_S))
        yield courier
        for task in tasks:
            assert not task.done(), f"{task} has ended"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Consumer:
    """A program that takes payloads for the truth: the last one heard of each name."""

    payloads: list[str] = field(default_factory=list)
    senders: set[int] = field(default_factory=set)
    latest: dict[str, int] = field(default_factory=dict)

    def hear(self, notification: psycopg.Notify) -> None:
        self.payloads.append(notification.payload)
        self.senders.add(notification.pid)
        word = json.loads(notification.payload)
        if "name" in word:
            self.latest[word["name"]] = word["quantity"]

    async def next_payload(self) -> str:
        await until(lambda: self.payloads)
        return self.payloads.pop(0)


@asynccontextmanager
async def consuming(url: str) -> AsyncIterator[Consumer]:
    """Listen to messages_channel while the context lasts."""
    consumer = Consumer()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("LISTEN messages_channel")

        async def consume() -> None:
            async for notification in connection.notifies():
                consumer.hear(notification)

        task = asyncio.create_task(consume())
        try:
            yield consumer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@dataclass(frozen=True)
class Outcome:
    """What became of a stress run: `unheard` are the writers whose last commit the consumer never heard."""

    commits: int
    shifts: int
    unheard: int


async def stress(url: str, seconds: float, kind: type[Courier] = Courier, writers: int = 6) -> Outcome:
    """Let writers commit early and late while the courier comes and goes; no safety poll mends anything."""
    names = [f"stress {number}" for number in range(writers)]
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as setup:
        for name in names:
            await setup.execute("INSERT INTO inventory (name, quantity) VALUES (%s, 0)", [name])
    ends_at = time.monotonic() + seconds
    async with consuming(url) as consumer, at_work(url, kind, **EAGER) as courier:
        counting = asyncio.create_task(_count_shifts(courier))
        commits = await asyncio.gather(*(_write(url, name, ends_at) for name in names))
        last = dict(zip(names, commits, strict=True))
        with suppress(TimeoutError):
            await until(lambda: consumer.latest == last, within_s=3)
        counting.cancel()
        shifts = await counting
    return Outcome(sum(commits), shifts, sum(consumer.latest.get(name) != last[name] for name in names))


async def _write(url: str, name: str, ends_at: float) -> int:
    chance = random.Random(name)
    number = 0
    async with await psycopg.AsyncConnection.connect(url) as connection:
        while time.monotonic() < ends_at:
            number += 1
            await connection.execute("UPDATE inventory SET quantity = %s WHERE name = %s", [number, name])
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.005, 0.03, 0.06)))
            await connection.commit()
            await asyncio.sleep(chance.choice((0.005, 0.03, 0.08, 0.15)))
    return number


async def _count_shifts(courier: Courier) -> int:
    shifts, was_busy = 0, False
    try:
        while True:
            shifts += courier.is_busy and not was_busy
            was_busy = courier.is_busy
            await asyncio.sleep(0.002)
    except asyncio.CancelledError:
        return shifts
