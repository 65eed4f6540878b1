"""What a shop adds to its inventory: triggers, constraints and columns of its own."""

from collections.abc import Iterator
from html import unescape

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.integration.imports import apply, preview
from tests.server import serve

RULE = "Only the <manager> may do that"


@pytest.fixture
def client(database_url: str) -> Iterator[httpx.Client]:
    with serve(database_url) as server, httpx.Client(base_url=server.url, verify=False, timeout=20) as client:
        yield client


def add_trigger(database: psycopg.Connection, body: str) -> None:
    database.execute(f"CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$".encode())
    database.execute(
        "CREATE TRIGGER rule BEFORE INSERT OR UPDATE OR DELETE ON inventory FOR EACH ROW EXECUTE FUNCTION rule()"
    )


def attempts(client: httpx.Client, item_id: int) -> Iterator[httpx.Response]:
    item = f"/items/{item_id}"
    yield client.post("/items", data={"name": "plums", "quantity": "3"})
    yield client.post(f"{item}/edit", data={"name": "pears", "quantity": "3", "version": "1"})
    yield client.post(f"{item}/take")
    yield client.post(f"{item}/delete")
    yield client.post("/api/items", json={"name": "plums", "quantity": 3})
    yield client.delete(f"/api{item}")


@pytest.mark.parametrize("code", ["P0001", "45000", "22023"])
def test_what_a_trigger_refuses_is_told_in_its_words(
    client: httpx.Client, database: psycopg.Connection, code: str
) -> None:
    item_id = make_item(database, name="apples")
    shown = preview(client, "name,quantity\nplums,3\n")
    add_trigger(database, f"RAISE EXCEPTION '%', $rule${RULE}$rule$ USING ERRCODE = '{code}'")
    answers = [*attempts(client, item_id), client.post("/changes/1/undo"), apply(client, shown)]
    for answer in answers:
        assert answer.status_code == 422
        assert f"The database refused this: {RULE}" in unescape(answer.text)


@pytest.mark.parametrize("code", ["40P01", "40001"], ids=["deadlock", "serialization"])
def test_of_two_who_stand_in_each_others_way_one_surely_changed_nothing(
    client: httpx.Client, database: psycopg.Connection, code: str
) -> None:
    item_id = make_item(database, name="apples")
    add_trigger(database, f"RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '{code}'")
    for answer in attempts(client, item_id):
        assert answer.status_code == 503
        assert "Nothing was changed; try again in a moment." in answer.text


def test_what_a_trigger_leaves_as_it_is_is_not_told_as_done(client: httpx.Client, database: psycopg.Connection) -> None:
    item_id = make_item(database, name="apples")
    add_trigger(database, "RETURN NULL")
    for answer in (*attempts(client, item_id), client.post("/changes/1/undo")):
        assert answer.status_code == 422
        assert "a trigger left it as it was" in answer.text


def test_what_must_be_unique_in_the_shop_is_refused_and_not_taken_for_a_change_by_others(
    client: httpx.Client, database: psycopg.Connection
) -> None:
    database.execute("CREATE UNIQUE INDEX one_in_each_place ON inventory (location)")
    answer = apply(client, preview(client, "name,quantity,location\napples,2,here\nplums,3,here\n"))
    assert answer.status_code == 422
    assert "one_in_each_place" in answer.text


def test_a_value_that_only_the_shop_needs_is_named(client: httpx.Client, database: psycopg.Connection) -> None:
    database.execute("ALTER TABLE inventory ADD COLUMN supplier text NOT NULL")
    answer = client.post("/api/items", json={"name": "plums", "quantity": 3})
    assert (answer.status_code, answer.json()["type"]) == (422, "/api#refused")
    assert "supplier" in answer.json()["detail"]


def test_columns_of_the_shop_may_have_any_name(client: httpx.Client, database: psycopg.Connection) -> None:
    for name in ("key", "is_exact", "snapshot", "item_id", "line", "new_name", "matching", "place"):
        database.execute(f"ALTER TABLE inventory ADD COLUMN {name} text".encode())
    make_item(database, name="apples", quantity=1)
    assert apply(client, preview(client, "name,quantity\napples,2\nplums,3\n")).status_code == 303
    for path in ("/?q=apples", "/?sort=-quantity", "/api/items?q=apples", "/export.csv", "/items/1", "/low"):
        assert client.get(path).status_code == 200


def test_what_only_a_column_of_the_shop_tells_cannot_be_undone(
    client: httpx.Client, database: psycopg.Connection
) -> None:
    database.execute("ALTER TABLE inventory ADD COLUMN supplier text")
    item_id = make_item(database)
    database.execute("UPDATE inventory SET supplier = 'Anna'")
    assert client.get(f"/items/{item_id}").text.count(">Undo</button>") == 1
    answer = client.post("/changes/2/undo")
    assert answer.status_code == 409
    assert "does not keep" in answer.text
