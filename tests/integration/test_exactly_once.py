"""16 writers, 5,000 commits, rollbacks, savepoints, the listener terminated 20 times: each change exactly once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg

from tests.factories import make_item
from tests.follower import APPLICATION, Follower, follow
from tests.overlap import SequenceReader, Told, Writer

WRITERS = 16
COMMITS = 5_000
KILLS = 20


@dataclass(frozen=True)
class Outcome:
    """What was committed, what a follower was told, and what the control has read: how often each."""

    committed: Counter[Told]
    told: Counter[Told]
    read_by_control: Counter[Told]
    resyncs: int


async def stress(url: str, database: psycopg.Connection, commits: int, kills: int) -> Outcome:
    """Let writers commit while a listener follows that is terminated so many times."""
    writers = [Writer(url, make_item(database), seed) for seed in range(WRITERS)]
    control = SequenceReader(url)
    async with follow(url) as follower:
        with ThreadPoolExecutor(WRITERS + 1) as threads:
            loop = asyncio.get_running_loop()
            controlling = loop.run_in_executor(threads, control.follow)
            writing = [loop.run_in_executor(threads, writer.write, commits // WRITERS + 1) for writer in writers]
            await kill_again_and_again(database, follower, commits, kills)
            await asyncio.gather(*writing)
            make_item(database, name="the end")
            await follower.until(lambda: "the end" in follower.names())
            control.is_stopped = True
            await controlling
    committed = Counter(one for writer in writers for one in writer.committed)
    ours = Counter(one for one in told(follower) if one[0] in {item_id for item_id, _ in committed})
    return Outcome(committed, ours, Counter(control.read), follower.resyncs)


def told(follower: Follower) -> Iterator[Told]:
    for change in follower.changes:
        if change.after is not None:
            yield change.item_id, change.after.quantity


async def kill_again_and_again(database: psycopg.Connection, follower: Follower, commits: int, kills: int) -> None:
    """Terminate the listener's backend whenever another part of the changes has been told."""
    for number in range(1, kills + 1):
        await follower.until_told(number * commits // (kills + 2))
        await follower.until(lambda: _terminate(database))  # it may be between two connections


def _terminate(database: psycopg.Connection) -> bool:
    found = database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = %s AND datname = current_database()",
        [APPLICATION],
    )
    return found.fetchall() != []


async def test_each_committed_change_is_told_once(database_url: str, database: psycopg.Connection) -> None:
    outcome = await stress(database_url, database, COMMITS, KILLS)
    assert outcome.told == outcome.committed, "nothing lost, nothing twice, nothing that was rolled back"
    assert outcome.resyncs == 1, "no gap was skipped"
    lost = outcome.committed.keys() - outcome.read_by_control.keys()
    assert lost, "a sequence as cursor loses rows, or this test proves nothing"
