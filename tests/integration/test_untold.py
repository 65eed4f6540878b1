"""What happens to the inventory without a trigger: it is noticed, and nothing is claimed while more of it may come."""

import psycopg
import pytest

from tests.factories import make_item
from tests.follower import follow
from tests.integration.test_doctor import wrong
from tests.integration.test_listener_faults import still_tells

OFF, ON = (f"ALTER TABLE inventory {word} TRIGGER inventory_log_update" for word in ("DISABLE", "ENABLE"))
HEIR, NO_HEIR = (f"ALTER TABLE special {word} inventory" for word in ("INHERIT", "NO INHERIT"))


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE inventory ALTER COLUMN quantity TYPE bigint USING quantity + 5"],
        [OFF, "UPDATE inventory SET quantity = quantity + 5", ON],
    ],
    ids=["another type", "a trigger off"],
)
async def test_new_values_that_no_trigger_told_of_have_everything_shown_afresh(
    database_url: str, database: psycopg.Connection, statements: list[str]
) -> None:
    make_item(database)
    async with follow(database_url, safety_poll_s=0.02) as follower:
        with database.transaction():
            for statement in statements:
                database.execute(statement.encode())
        await follower.until(lambda: follower.resyncs == 2)
        await still_tells(follower, database)


@pytest.mark.parametrize(
    ("begins", "ends", "found"),
    [
        (OFF, ON, "these triggers are off, so that changes are not seen: inventory_log_update"),
        (HEIR, NO_HEIR, "these tables inherit from the inventory, and nothing tells of their rows: special"),
    ],
    ids=["a trigger off", "a table that inherits"],
)
async def test_while_not_everything_is_told_nothing_is_certain(
    database_url: str, database: psycopg.Connection, begins: str, ends: str, found: str
) -> None:
    database.execute("CREATE TABLE special (LIKE inventory)")
    async with follow(database_url, safety_poll_s=0.02) as follower:
        database.execute(begins.encode())
        await follower.until(lambda: not follower.listener.is_certain(within_s=0.2))
        assert found in wrong(database_url)
        database.execute(ends.encode())
        await follower.until(lambda: follower.listener.is_certain(within_s=0.2))
        await still_tells(follower, database)


async def test_a_new_column_and_a_table_that_is_written_anew_are_no_reason_to_doubt(
    database_url: str, database: psycopg.Connection
) -> None:
    async with follow(database_url, safety_poll_s=0.02) as follower:
        database.execute("ALTER TABLE inventory ADD COLUMN supplier text DEFAULT 'Anna'")
        database.execute("TRUNCATE inventory")
        database.execute("VACUUM FULL inventory")
        await follower.until_told(1)
        await still_tells(follower, database)
        assert follower.resyncs == 1
