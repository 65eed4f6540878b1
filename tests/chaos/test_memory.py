"""A server that runs for long needs no more memory than one that has run for half as long."""

import asyncio
import os
from pathlib import Path

import psycopg
import pytest

from tests.browserless import open_page
from tests.command import serving
from tests.waiting import until

CHANGES = int(os.environ.get("CHANGES", "0"))
AT_ONCE = 50
QUERIES = ("", "q=1", "sort=-quantity", "sort=-updated_at", "page=2", "low=1")


def resident_kb(process: int) -> int:
    """Return the memory that a process has in RAM."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


@pytest.mark.skipif(not CHANGES, reason="fills all caches first: CHANGES=100000 takes three minutes")
async def test_memory_stays_the_same_however_many_changes_and_reconnections_there_are(
    database_url: str, database: psycopg.Connection, tmp_path: Path
) -> None:
    database.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, 500) AS n")
    with serving(database_url, tmp_path / "log") as server:
        sizes = []
        for number in range(CHANGES // AT_ONCE):
            async with open_page(server, QUERIES[number % len(QUERIES)]) as page:
                await asyncio.to_thread(
                    database.execute, "UPDATE inventory SET quantity = quantity + 1 WHERE id %% 10 = %s", [number % 10]
                )
                await until(lambda page=page: page.beats)  # type: ignore[misc]
            sizes.append(resident_kb(server.process.pid))
    assert sizes[-1] < 1.05 * sizes[len(sizes) // 2]
