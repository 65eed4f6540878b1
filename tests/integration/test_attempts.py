"""Guessing passwords: it gets slow, for whoever guesses and for nobody else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from webapp.access import attempts
from webapp.access.attempts import FREE_OF_ACCOUNT, FREE_OF_ADDRESS, Attempt, TooManyAttempts

Connection = psycopg.AsyncConnection[DictRow]
HOME, STRANGER = "192.0.2.1", "198.51.100.7"


@pytest.fixture
async def source(shared_url: str) -> AsyncIterator[Connection]:
    """A connection with an open transaction: in it time stands still, until it is let pass."""
    async with (
        await psycopg.AsyncConnection.connect(shared_url, row_factory=dict_row) as connection,
        connection.transaction(force_rollback=True),
    ):
        yield connection


async def fail(source: Connection, name: str, address: str, times: int = 1) -> list[int]:
    """Try with a wrong password; return the seconds to wait of each attempt, 0 for one that was let through."""
    waits = []
    for _ in range(times):
        try:
            await Attempt(name, address).count(source)
            waits.append(0)
        except TooManyAttempts as error:
            waits.append(error.wait_s)
    return waits


async def succeed(source: Connection, name: str, address: str) -> None:
    attempt = Attempt(name, address)
    await attempt.count(source)
    await attempt.succeed(source)


async def let_pass(source: Connection, time: timedelta) -> None:
    """Let time pass, as the rows see it."""
    await source.execute(
        "UPDATE inventory_sign_in_attempts SET not_before = not_before - %(time)s, expires_at = expires_at - %(time)s",
        {"time": time},
    )


async def test_each_failure_costs_twice_the_time_of_the_one_before(source: Connection) -> None:
    assert await fail(source, "ada", STRANGER, FREE_OF_ACCOUNT) == [0] * FREE_OF_ACCOUNT
    waits = []
    for _ in range(12):
        assert await fail(source, "ada", STRANGER) == [0]
        wait = (await fail(source, "ada", STRANGER))[0]
        waits.append(wait)
        await let_pass(source, timedelta(seconds=wait))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_a_name_that_does_not_exist_or_is_written_otherwise_is_no_way_around(source: Connection) -> None:
    for name in ("Ada", " ada ", "ADA", "ada", "aDa"):
        assert await fail(source, name, STRANGER) == [0]
    assert await fail(source, "ada", STRANGER, 2) == [0, 1]


@pytest.mark.parametrize("other", ["\u200bZoé", "ZOÉ\u2060\ufeff", "Zoe\u0301", "\u180eZOE\u0301\u0085"])
async def test_what_the_database_takes_for_the_same_name_is_counted_as_the_same(source: Connection, other: str) -> None:
    await fail(source, "Zoé", STRANGER, FREE_OF_ACCOUNT + 1)
    assert await fail(source, other, HOME) == [1]


async def test_one_address_cannot_go_through_all_names(source: Connection) -> None:
    waits = [(await fail(source, f"name {number}", STRANGER))[0] for number in range(FREE_OF_ADDRESS + 2)]
    assert waits == [*[0] * (FREE_OF_ADDRESS + 1), 1]
    assert await fail(source, "somebody", "2001:db8::1", FREE_OF_ACCOUNT) == [0] * FREE_OF_ACCOUNT


async def test_strangers_do_not_keep_out_who_comes_from_a_familiar_address(source: Connection) -> None:
    await succeed(source, "ada", HOME)
    await fail(source, "ada", STRANGER, 30)
    await succeed(source, "ada", HOME)
    assert (await fail(source, "ada", "203.0.113.9"))[0] > 0, "to any other new address they do, for a while"


async def test_at_a_familiar_address_guessing_gets_slow_too(source: Connection) -> None:
    await succeed(source, "ada", HOME)
    assert await fail(source, "ada", HOME, FREE_OF_ACCOUNT + 2) == [*[0] * (FREE_OF_ACCOUNT + 1), 1]


async def test_who_has_an_account_cannot_guess_others_for_free(source: Connection) -> None:
    for number in range(FREE_OF_ADDRESS):
        assert await fail(source, f"name {number}", STRANGER) == [0]
        await succeed(source, "mallory", STRANGER)
    assert await fail(source, "ada", STRANGER, 2) == [0, 1]


async def test_attempts_at_the_same_moment_are_all_counted(
    shared_url: str, source: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FREE_OF_ACCOUNT", 10)  # or some might wait, and others come after that

    async def try_once() -> int:
        async with await psycopg.AsyncConnection.connect(shared_url, autocommit=True, row_factory=dict_row) as own:
            return (await fail(own, "all at once", "203.0.113.7"))[0]

    assert await asyncio.gather(*[try_once() for _ in range(10)]) == [0] * 10
    counted = await source.execute("SELECT failures FROM inventory_sign_in_attempts")
    assert [row["failures"] for row in await counted.fetchall()] == [10, 10], "of the account, and of the address"
    assert await fail(source, "all at once", HOME, 2) == [0, 1]


async def test_what_is_old_is_forgotten(source: Connection) -> None:
    await succeed(source, "ada", HOME)
    await fail(source, "ada", STRANGER, 30)
    await let_pass(source, timedelta(days=2))
    assert await fail(source, "eve", "203.0.113.9", FREE_OF_ACCOUNT) == [0] * FREE_OF_ACCOUNT
    cursor = await source.execute("SELECT is_familiar FROM inventory_sign_in_attempts ORDER BY is_familiar")
    assert [row["is_familiar"] for row in await cursor.fetchall()] == [False, False, True], "eve's two, and ada's home"


@pytest.mark.parametrize("name", ["", "\0", "\ud800", "n" * 1_000_000, "' OR 1=1 --"])
async def test_any_name_can_be_counted(source: Connection, name: str) -> None:
    assert await fail(source, name, "\0 no address") == [0]
