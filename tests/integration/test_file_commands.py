"""`import`, `export` and `simulate`, as a person or a nightly job runs them."""

import random
import signal
import subprocess
from pathlib import Path
from threading import Event

import psycopg
import pytest

from tests.command import COMMAND, call, environment, refusal, refused, run
from tests.factories import make_item
from tests.waiting import eventually
from webapp.settings import RESOURCES
from webapp.stock.simulation import ITEMS, Shop, make_stock


def items(database: psycopg.Connection) -> list[tuple[object, ...]]:
    return database.execute("SELECT name, quantity FROM inventory ORDER BY name").fetchall()


def test_a_file_is_imported_or_only_looked_at(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    make_item(database, name="apples", quantity=1)
    file = tmp_path / "delivery note.csv"
    file.write_text("name,delta,price\napples,5,1.20\npears,3,0.80\n")
    looked_at = call("import", str(file), "--dry-run", DATABASE_URL=database_url)
    assert looked_at.returncode == 0
    assert looked_at.stdout.startswith("1 new, 1 changed, 0 unchanged. Not used: price. (dry run")
    assert items(database) == [("apples", 1)]
    done = call("import", str(file), DATABASE_URL=database_url)
    assert (done.returncode, done.stdout) == (0, "1 new, 1 changed, 0 unchanged. Not used: price.\n")
    assert items(database) == [("apples", 6), ("pears", 3)]
    reasons = database.execute("SELECT DISTINCT source, reason FROM inventory_changes WHERE source IS NOT NULL")
    assert reasons.fetchall() == [("import", "delivery note.csv")]
    assert database.execute("SELECT count(*) FROM inventory_import_rows").fetchone() == (0,)


def test_bad_rows_are_listed_and_nothing_is_imported(
    database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("name,qty\nfine,1\nhalf,1.5\nFINE,2\n" + "x,\n" * 200)
    message = refusal("import", str(file), DATABASE_URL=database_url).splitlines()
    assert message[0] == "bad.csv: line 3, qty: “1.5” is a fraction: whole units only."
    assert message[1] == "bad.csv: line 4, name: Line 2 has the same name."
    assert message[-2:] == ["… and 102 more", "Nothing was imported; problems: 202."]
    assert items(database) == []


def test_a_file_that_is_not_there_or_not_text_is_one_line(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "old.csv"
    assert "No such file" in refusal("import", str(file), DATABASE_URL=database_url)
    assert "Is a directory" in refusal("import", str(tmp_path), DATABASE_URL=database_url)
    file.write_bytes("name,qty\nMüsli,3\n".encode("cp1252"))
    assert "line 2: This line is not UTF-8" in refusal("import", str(file), DATABASE_URL=database_url)
    assert call("import", str(file), "--encoding", "windows-1252", DATABASE_URL=database_url).returncode == 0
    assert call("import", str(file), "--encoding", "nonsense", DATABASE_URL=database_url).returncode == 2


def test_the_standard_streams_take_and_give_the_same(database: psycopg.Connection, database_url: str) -> None:
    make_item(database, name="=Äpfel", quantity=3, unit="kg")
    make_item(database, name="pears", quantity=2**63 - 1, code="P")
    exported = run("export", DATABASE_URL=database_url)
    assert exported.stdout.splitlines()[1:] == [",'=Äpfel,3,kg,,", f"P,pears,{2**63 - 1},,,"]
    imported = run("import", "-", stdin=exported.stdout, DATABASE_URL=database_url)
    assert imported.stdout == "0 new, 0 changed, 2 unchanged.\n"


def test_export_writes_a_file_or_says_why_not(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    make_item(database, name="apples", quantity=3)
    assert call("export", str(tmp_path / "a.csv"), DATABASE_URL=database_url).returncode == 0
    assert (tmp_path / "a.csv").read_text("utf-8-sig").endswith("\n,apples,3,,,\n")
    assert "No such file" in refusal("export", str(tmp_path / "no" / "a.csv"), DATABASE_URL=database_url)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_simulated_shop_trades_until_it_is_stopped(
    database: psycopg.Connection, database_url: str, stop: signal.Signals
) -> None:
    command = [*COMMAND, "simulate", "--rate", "200"]
    variables = environment(DATABASE_URL=database_url)
    with subprocess.Popen(command, env=variables, cwd=RESOURCES, stdout=subprocess.PIPE, text=True) as shop:
        trading = "SELECT count(*) > 50 FROM inventory_changes WHERE operation = 'update'"
        eventually(lambda: database.execute(trading).fetchone() == (True,))
        shop.send_signal(stop)
        output, _ = shop.communicate(timeout=8)
    assert shop.returncode == 0
    assert output.startswith("The shop is closed after ")
    assert database.execute("SELECT count(*), min(quantity) >= 0 FROM inventory").fetchone() == (ITEMS, True)
    who = database.execute("SELECT DISTINCT application FROM inventory_changes WHERE reason IS NOT NULL").fetchall()
    assert {("opening stock",), ("till 1",), ("till 2",), ("till 3",)} <= set(who)


def test_a_simulation_leaves_the_items_of_others_alone_unless_told(
    database: psycopg.Connection, database_url: str
) -> None:
    make_item(database, name="precious", quantity=5)
    assert "add --yes" in refused(run("simulate", "--for", "1", DATABASE_URL=database_url))
    assert items(database) == [("precious", 5)]
    done = run("simulate", "--for", "0.1", "--rate", "100", "--yes", DATABASE_URL=database_url)
    assert done.returncode == 0
    assert database.execute("SELECT count(*) FROM inventory").fetchone() == (1,)


def test_every_kind_of_deal_changes_what_it_says(database: psycopg.Connection) -> None:
    shop = Shop(database, random.Random(1))
    assert shop.fill() == ITEMS
    for _ in shop.trade(rate=100_000, seconds=0.004, closing=Event()):
        pass
    kinds = {"sales": "till%", "deliveries": "delivery", "counts": "warehouse"}
    for kind, application in kinds.items():
        logged = "SELECT count(*) FROM inventory_changes WHERE application LIKE %s"
        assert database.execute(logged, [application]).fetchone() == (shop.deals[kind],)
        assert shop.deals[kind] > 0
    assert database.execute("SELECT current_setting('application_name')").fetchone() != ("warehouse",)


def test_a_made_up_stock_is_believable() -> None:
    stock = make_stock(random.Random(3))
    assert len({str(item["name"]).lower() for item in stock}) == len(stock) == ITEMS
    codes = [item["code"] for item in stock if item["code"]]
    assert len(set(codes)) == len(codes) > 150
    assert len({item["location"] for item in stock}) > 10
