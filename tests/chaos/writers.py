"""Whoever writes: forms of the page, the JSON API, psql, programs, bulk statements, transactions that stay open."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx
import psycopg

from tests.chaos.world import World

Chance = random.Random
Writer = Callable[[World, Chance], Awaitable[object]]

HOSTILE = [
    "<script>alert(1)</script>",
    "'; DROP TABLE inventory; --",
    '\\"%_&amp;',
    "İıßςΣ",
    "e\u0301🍏\u202e",
    "</tr><tr id=item-1>",
]
PULSE = "!pulse"  # before all other names
UNAVAILABLE = (503, 502)


def name(chance: Chance) -> str:
    return chance.choice([f"item {chance.randrange(3000)}", f"{chance.choice(HOSTILE)} {chance.randrange(30)}"])


async def form(world: World, chance: Chance) -> None:
    """Add an item, or move one, by a plain form."""
    path, fields = chance.choice(
        [
            ("/items", {"name": name(chance), "quantity": str(chance.randrange(90)), "reorder_level": "20"}),
            (f"/items/{chance.randrange(1, 400)}/put", {"by": "3"}),
            (f"/items/{chance.randrange(1, 400)}/take", {"by": "1"}),
            (f"/items/{chance.randrange(1, 400)}/delete", {}),
        ]
    )
    await _send(world, "POST", path, data=fields)


async def api(world: World, chance: Chance) -> None:
    """Add or change an item as a program does."""
    item = f"/api/items/{chance.randrange(1, 400)}"
    method, path, message = chance.choice(
        [
            ("POST", "/api/items", {"name": name(chance), "quantity": chance.randrange(90), "location": "A"}),
            ("PATCH", item, {"location": chance.choice(["A", "B", None])}),
            ("PATCH", item, {"name": name(chance)}),
            ("POST", f"{item}/count", {"quantity": chance.randrange(50)}),
            ("DELETE", item, None),
        ]
    )
    await _send(world, method, path, **({"json": message} if message else {}))


async def psql(world: World, chance: Chance) -> None:
    """Let the real psql run a script, some of it rolled back to a savepoint."""
    quantity = chance.randrange(99)
    script = f"""
        BEGIN;
        UPDATE inventory SET quantity = {quantity} WHERE id % 13 = {chance.randrange(13)};
        SAVEPOINT half;
        DELETE FROM inventory;
        ROLLBACK TO half;
        INSERT INTO inventory (name, quantity) VALUES ('psql {chance.randrange(200)}', {quantity})
            ON CONFLICT DO NOTHING;
        {chance.choice(["COMMIT", "COMMIT", "ROLLBACK"])};
    """
    program = await asyncio.create_subprocess_exec(
        *(world.server.psql_path, "-X", "-q", world.database_url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await program.communicate(script.encode())


async def update(world: World, chance: Chance) -> None:
    """Change many items in one statement."""
    await world.execute(
        chance.choice(
            [
                "UPDATE inventory SET quantity = quantity + 3 WHERE id %% 7 = %s",
                "UPDATE inventory SET location = CASE location WHEN 'A' THEN 'B' ELSE 'A' END WHERE id %% 5 = %s",
                "UPDATE inventory SET name = 'renamed ' || id WHERE id %% 11 = %s",
                "UPDATE inventory SET reorder_level = quantity WHERE id %% 6 = %s",
                "DELETE FROM inventory WHERE id %% 9 = %s",
            ]
        ),
        chance.randrange(5),
    )


async def copy(world: World, chance: Chance) -> None:
    """Bring in so many that they are not told one by one, now and then."""
    rows = chance.choice([10, 60, 700, 6000])
    first = chance.randrange(10**9)
    async with await psycopg.AsyncConnection.connect(world.database_url) as connection:
        await connection.execute("DELETE FROM inventory WHERE name LIKE 'bulk%'")
        async with connection.cursor().copy("COPY inventory (name, quantity, location) FROM STDIN") as copying:
            for number in range(first, first + rows):
                await copying.write_row((f"bulk {number}", number % 100, "A"))


async def truncate(world: World, chance: Chance) -> None:
    """Remove all and begin again with the same ids."""
    async with await psycopg.AsyncConnection.connect(world.database_url) as connection:
        await connection.execute("TRUNCATE inventory RESTART IDENTITY")
        await connection.execute(
            "INSERT INTO inventory (name, quantity, reorder_level, location)"
            " SELECT 'fresh ' || n, n, 20, 'B' FROM generate_series(1, %s) AS n",
            [chance.choice([0, 30, 300])],
        )


async def linger(world: World, chance: Chance) -> None:
    """Write, and commit (or not) only much later."""
    async with await psycopg.AsyncConnection.connect(world.database_url) as connection:
        await connection.execute(
            "UPDATE inventory SET quantity = quantity + 1 WHERE id %% 17 = %s", [chance.randrange(17)]
        )
        await asyncio.sleep(chance.uniform(0.5, 3))
        if chance.random() < 0.3:
            await connection.rollback()


WRITERS: dict[Writer, int] = {form: 6, api: 6, psql: 1, update: 4, copy: 1, truncate: 1, linger: 1}


class Writes:
    """How many writes there were, and how many failed, as some must while their database is away."""

    def __init__(self) -> None:
        self.tried = self.failed = 0


async def write(world: World, chance: Chance, writes: Writes) -> None:
    """Write for ever."""
    while True:
        writes.tried += 1
        try:
            await chance.choices([*WRITERS], [*WRITERS.values()])[0](world, chance)
        except (psycopg.Error, httpx.HTTPError, OSError):
            writes.failed += 1
        await asyncio.sleep(chance.choice([0, 0.01, 0.05, 0.2]))


async def _send(world: World, method: str, path: str, **options: object) -> None:
    async with httpx.AsyncClient(base_url=world.url, verify=False, timeout=5) as client:
        answer = await client.request(method, path, **options)  # type: ignore[arg-type]
    assert answer.status_code < 500 or answer.status_code in UNAVAILABLE, f"{method} {path}: {answer.status_code}"


class Pulse:
    """One item whose unit, which nobody else writes, is a number that only grows; when each was committed is known."""

    def __init__(self) -> None:
        self.committed: list[float] = []

    async def beat(self, world: World) -> None:
        """Commit the next number, a few times a second, whenever the database is there."""
        while True:
            with suppress(psycopg.Error, OSError):
                async with asyncio.timeout(5):
                    await world.execute(
                        "INSERT INTO inventory (name, unit, quantity) VALUES (%s, %s, 0) ON CONFLICT"
                        ' ((inventory_fold(name)) COLLATE "C") DO UPDATE SET unit = excluded.unit',
                        PULSE,
                        str(len(self.committed)),
                    )
                    self.committed.append(time.monotonic())
            await asyncio.sleep(0.25)

    def age_s(self, number: int) -> float:
        """Return for how long a page that shows this number has lacked a newer one."""
        newer = self.committed[number + 1 : number + 2]
        return time.monotonic() - newer[0] if newer else 0.0
