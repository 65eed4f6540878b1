"""What goes wrong. Each fault ends by itself, and leaves nothing that it would have to be told to mend."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress

import psycopg
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.chaos.world import WORKERS, World
from tests.proxy import Network

Chance = random.Random
Fault = Callable[[World, Chance], Awaitable[object]]

PARTS = ("live-inventory", "live-inventory listener", "live-inventory courier")


async def kill_backends(world: World, chance: Chance) -> None:
    """End the connections of one part, at times again and again."""
    for _ in range(chance.choice([1, 1, 5])):
        await world.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", chance.choice(PARTS)
        )
        await asyncio.sleep(0.1)


async def restart_database(world: World, chance: Chance) -> None:
    """Stop the database server, crash it or kill it, and start it again."""
    await asyncio.to_thread(world.restart, chance.choice(["fast", "immediate", "kill"]))


async def kill_worker(world: World, chance: Chance) -> None:
    """Kill one of the processes that serve."""
    world.kill_worker(chance.randrange(WORKERS))


async def stall_database(world: World, chance: Chance) -> None:
    """Keep all bytes between application and database back, and let nobody notice."""
    await _for_a_while(world.inner, world.inner.stall, chance.choice([0.5, 2, 6]))


async def cut_database(world: World, chance: Chance) -> None:
    """End all connections between application and database, and admit none for a while."""
    await _for_a_while(world.inner, world.inner.cut, chance.choice([0.1, 1]))


async def stall_clients(world: World, chance: Chance) -> None:
    """Keep all bytes between pages and application back."""
    await _for_a_while(world.outer, world.outer.stall, chance.choice([0.5, 2, 4]))


async def cut_clients(world: World, chance: Chance) -> None:
    """End all connections of pages, which all come back at once."""
    await _for_a_while(world.outer, world.outer.cut, chance.choice([0.1, 1]))


async def send_hostile_frames(world: World, chance: Chance) -> None:
    """Be a client that keeps to no rule."""
    messages: list[str | bytes] = [
        "\0",
        b"\xff\xfe",
        "[" * 7000,
        "x" * 70_000,
        '{"type": "resume", "revision": {"a": [1]}}',
        json.dumps({"type": "resume", "revision": "\u0000<script>", "summary": 7, "hold": "yes"}),
    ]
    for message in chance.sample(messages, 3):
        with suppress(OSError, WebSocketException, TimeoutError):
            async with asyncio.timeout(2), connect(f"{world.socket_url}/live?q=%00%ff&page=-1") as socket:
                await socket.send(message)
                await socket.recv()


async def send_hostile_notifications(world: World, chance: Chance) -> None:
    """Say on the channel what triggers never say, or what only they should."""
    for payload in ("<script>", "\\", "{" * 3000, '{"change": 1, "op": "truncate"}', "x" * 7999, '{"change": -1e999}'):
        await world.execute("SELECT pg_notify('messages_channel', %s)", payload)


async def fill_the_queue(world: World, chance: Chance) -> None:
    """Listen within a transaction, so that the server must keep all notifications, until it keeps no more."""
    async with await psycopg.AsyncConnection.connect(world.database_url, autocommit=True) as idler:
        await idler.execute("LISTEN messages_channel")
        async with idler.transaction():
            await idler.execute("SELECT 1")
            with suppress(psycopg.errors.ProgramLimitExceeded, psycopg.errors.OperationalError):
                for _ in range(80):
                    await world.execute("SELECT pg_notify('elsewhere', repeat('x', 7900))")
            await asyncio.sleep(chance.uniform(0.2, 2))


FAULTS: dict[Fault, int] = {
    kill_backends: 4,
    restart_database: 1,
    kill_worker: 1,
    stall_database: 2,
    cut_database: 2,
    stall_clients: 1,
    cut_clients: 2,
    send_hostile_frames: 2,
    send_hostile_notifications: 2,
    fill_the_queue: 1,
}


async def disturb(world: World, chance: Chance, done: Counter[str]) -> None:
    """Let one thing after the other go wrong, each at least once if there is time, for ever."""
    first = chance.sample([*FAULTS], len(FAULTS))
    while True:
        await asyncio.sleep(chance.uniform(0.1, 1.0))
        fault = first.pop() if first else chance.choices([*FAULTS], [*FAULTS.values()])[0]
        with suppress(psycopg.Error, OSError):  # what it is done to may be away at the moment
            await fault(world, chance)
        done[fault.__name__] += 1


async def _for_a_while(network: Network, spoil: Callable[[], None], seconds: float) -> None:
    spoil()
    try:
        await asyncio.sleep(seconds)
    finally:
        network.mend()
