"""What a database or its role prefers in general: the application says itself what it needs."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.command import call
from tests.factories import make_item
from tests.server import serve
from tests.waiting import eventually, waiting_for_locks

NAME = "№ 1 😀"
FORM = {"name": NAME, "quantity": "5"}


def prefer(database: psycopg.Connection, setting: str) -> None:
    database.execute(f'ALTER DATABASE "{database.info.dbname}" SET {setting}'.encode())


@pytest.mark.parametrize("setting", ["DateStyle = 'German'", "client_encoding = 'LATIN1'"])
def test_names_and_times_are_read_and_written_whatever_the_database_prefers(
    database_url: str, database: psycopg.Connection, setting: str
) -> None:
    prefer(database, setting)
    with serve(database_url) as server, httpx.Client(base_url=server.url, verify=False, timeout=20) as visitor:
        assert visitor.post("/items", data=FORM).status_code == 303
        assert visitor.post("/items/1/edit", data=FORM | {"version": "1", "quantity": "4"}).status_code == 303
        for path in ("/", "/items/1", "/activity", "/api/items", "/export.csv", "/activity.csv"):
            answer = visitor.get(path)
            assert answer.status_code == 200
            assert NAME in answer.text
    assert (
        call(
            "account", "add", NAME, "--role", "admin", DATABASE_URL=database_url, stdin="correct horse battery\n"
        ).returncode
        == 0
    )
    assert NAME in call("account", "list", DATABASE_URL=database_url).stdout
    assert call("token", "add", NAME, "☃", DATABASE_URL=database_url).returncode == 0
    assert "☃" in call("token", "list", DATABASE_URL=database_url).stdout
    assert "clocks of database and application agree" in call("doctor", DATABASE_URL=database_url).stdout


def test_two_who_change_an_item_at_once_add_up_at_any_isolation(
    database_url: str, database: psycopg.Connection
) -> None:
    prefer(database, "default_transaction_isolation = 'serializable'")
    item_id = make_item(database, quantity=10)
    with (
        serve(database_url) as server,
        httpx.Client(base_url=server.url, verify=False, timeout=20) as visitor,
        ThreadPoolExecutor(1) as thread,
    ):
        with psycopg.connect(database_url) as other:
            other.execute("UPDATE inventory SET quantity = quantity - 1")
            taken = thread.submit(visitor.post, f"/items/{item_id}/take")
            eventually(lambda: waiting_for_locks(database) == 1)
        assert taken.result().status_code == 303
    assert database.execute("SELECT quantity FROM inventory").fetchone() == (8,)
