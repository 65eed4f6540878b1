"""What may be uploaded, how much of it at once, and for how long it is kept."""

import httpx
import psycopg
import pytest

from tests.integration.imports import upload
from tests.server import LiveServer
from webapp.access.security import MAX_UPLOAD_BYTES
from webapp.pages import imports as import_pages

pytestmark = pytest.mark.usefixtures("no_items")


def test_files_are_forgotten_after_an_hour(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    old = upload(visitor, "name,qty\nold,1\n").headers["location"]
    shared.execute("UPDATE inventory_imports SET created_at = created_at - interval '61 min'")
    new = upload(visitor, "name,qty\nnew,1\n").headers["location"]
    assert visitor.get(old).status_code == 404
    assert visitor.get(new).status_code == 200
    orphans = "SELECT count(*) FROM inventory_import_rows WHERE import_id NOT IN (SELECT id FROM inventory_imports)"
    assert shared.execute(orphans).fetchone() == (0,)


@pytest.mark.parametrize("token", ["nothing", "%00", "a%20b", "\u00fc" * 300])
def test_an_import_that_never_was_is_not_found(visitor: httpx.Client, token: str) -> None:
    assert visitor.get(f"/import/{token}").status_code == 404
    assert visitor.post(f"/import/{token}").status_code == 404


def test_the_form_without_a_file_asks_for_one(visitor: httpx.Client) -> None:
    answer = visitor.post("/import", files={"file": ("", b"", "application/octet-stream")})
    assert answer.status_code == 422
    assert "Choose a file first." in answer.text


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"Content-Type": "text/csv"}, b"name,qty", 415),
        ({"Content-Type": "multipart/form-data"}, b"x", 400),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"no part at all", 400),
        ({"Content-Type": "multipart/form-data; boundary=b", "Origin": "http://evil.example"}, b"", 403),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"x" * (MAX_UPLOAD_BYTES + 1), 413),
    ],
)
def test_what_is_no_file_is_refused(
    visitor: httpx.Client, headers: dict[str, str], content: bytes, status: int
) -> None:
    assert visitor.post("/import", headers=headers, content=content).status_code == status


def test_only_the_upload_takes_large_bodies(visitor: httpx.Client, shared_server: LiveServer) -> None:
    big = "name,qty\n" + "".join(f"item {i} {'x' * 150},1\n" for i in range(2_000))
    assert upload(visitor, big).status_code == 303
    assert visitor.post("/items", files={"file": ("a.csv", big.encode())}).status_code == 413


def test_more_uploads_at_once_than_there_is_room_for_are_put_off(
    visitor: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_pages, "UPLOADS_AT_ONCE", 0)
    answer = upload(visitor, "name,quantity\nx,1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    monkeypatch.setattr(import_pages, "UPLOADS_AT_ONCE", 1)
    for _ in range(2):
        assert upload(visitor, "name,quantity\nx,1").status_code == 303
