"""Imports through the page, as a visitor without scripts makes them."""

import re

import httpx
import psycopg

COLUMNS = "name, quantity, unit, location, reorder_level, code"


def upload(visitor: httpx.Client, text: str | bytes, name: str = "stock.csv") -> httpx.Response:
    content = text.encode() if isinstance(text, str) else text
    return visitor.post("/import", files={"file": (name, content, "text/csv")})


def preview(visitor: httpx.Client, text: str | bytes, name: str = "stock.csv") -> httpx.Response:
    """Upload a file that must be accepted; return its preview."""
    answer = upload(visitor, text, name)
    assert answer.status_code == 303, problems(answer)
    return visitor.get(answer.headers["location"])


def apply(visitor: httpx.Client, shown: httpx.Response) -> httpx.Response:
    """Press the button of a preview."""
    digest = re.search('name="digest" value="([^"]*)"', shown.text)
    action = re.search('method="post" action="(/import/[^"]*)"', shown.text)
    assert digest, shown.text
    assert action
    return visitor.post(action[1], data={"digest": digest[1]})


def problems(answer: httpx.Response) -> list[tuple[str, str, str]]:
    """Line, column and reason of each bad row that the page shows."""
    return re.findall(r"<td>(\d*)</td>\s*<td>([^<]*)</td>\s*<td>([^<]+)</td>", answer.text)


def counts(shown: httpx.Response) -> tuple[int, ...]:
    """How many are new, changed and unchanged."""
    return tuple(map(int, re.findall(r"<dd>(\d+)</dd>", shown.text)[:3]))


def columns_of(database: psycopg.Connection, item_id: int) -> tuple[object, ...] | None:
    return database.execute(f"SELECT {COLUMNS} FROM inventory WHERE id = %s".encode(), [item_id]).fetchone()
