"""Changes as programs make them, and as pages tell them."""

import re
from html import unescape

import psycopg

TAG = re.compile(r"<[^>]+>")
ENTRY = re.compile(r'<li id="change-(\d+)">(.*?)</li>', re.DOTALL)


def entries(page: str, list_id: str = "history") -> list[str]:
    """Return the texts of a list of changes, in order."""
    found = re.search(rf'<ol id="{list_id}".*?</ol>', page, re.DOTALL)
    assert found
    return [text(entry[1]) for entry in ENTRY.findall(found[0])]


def text(markup: str) -> str:
    return " ".join(unescape(TAG.sub(" ", markup)).split())


def fact(page: str, name: str) -> str:
    found = re.search(rf'<div id="fact-{name}">(.*?)</div>', page, re.DOTALL)
    assert found
    return text(found[1])


def take(database: psycopg.Connection, item_id: int, count: int, **claims: object) -> int:
    """Take some as a program would that says who it is; return the change's id."""
    with database.transaction():
        for name, value in claims.items():
            database.execute("SELECT set_config(%s, %s, TRUE)", [f"inventory.{name}", str(value)])
        database.execute("UPDATE inventory SET quantity = quantity - %s WHERE id = %s", [count, item_id])
    return newest_change(database)


def newest_change(database: psycopg.Connection) -> int:
    row = database.execute("SELECT max(id) FROM inventory_changes").fetchone()
    assert row is not None
    return int(row[0])


def make_old(database: psycopg.Connection, days: int) -> None:
    """Let all that was recorded so far have happened some days ago."""
    database.execute("UPDATE inventory_changes SET changed_at = changed_at - make_interval(days => %s)", [days])


def quantity(database: psycopg.Connection, item_id: int) -> object:
    """Return what the table says; None: there is no such item."""
    row = database.execute("SELECT quantity FROM inventory WHERE id = %s", [item_id]).fetchone()
    return row[0] if row else None
