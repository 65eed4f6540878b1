"""Files that are imported through the page: previewed, applied whole or not at all, and never over a newer change."""

import re
import threading

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.server import LiveServer
from tests.waiting import eventually
from webapp import import_pages
from webapp import importing as importing_module
from webapp.importing import ChangedMeanwhile, apply_file, importing
from webapp.security import MAX_UPLOAD_BYTES

Rows = list[tuple[object, ...]]
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


def row(database: psycopg.Connection, item_id: int) -> tuple[object, ...] | None:
    return database.execute(f"SELECT {COLUMNS} FROM inventory WHERE id = %s".encode(), [item_id]).fetchone()


@pytest.fixture(autouse=True)
def _empty(shared: psycopg.Connection) -> None:
    shared.execute("DELETE FROM inventory")


def test_a_file_is_previewed_applied_once_and_told_in_the_history(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    pencils = make_item(shared, name="Pencils", quantity=100, unit="boxes", code="P-1")
    make_item(shared, name="Sugar", quantity=15)
    shown = preview(visitor, "name;qty;supplier\nPENCILS;120;x\nSugar;15;y\n<b>Flour;3;z\n", "monday.csv")
    assert counts(shown) == (1, 1, 1)
    assert re.search(r"quantity <del>100</del> → <ins>120</ins>", shown.text)
    assert "&lt;b&gt;Flour" in shown.text
    assert "Not used: supplier." in shown.text
    assert row(shared, pencils) == ("Pencils", 100, "boxes", None, None, "P-1")

    answer = apply(visitor, shown)
    assert (answer.status_code, answer.headers["location"]) == (303, "/import?added=1&changed=1")
    assert "<b>1</b> item added, <b>1</b> changed" in visitor.get(answer.headers["location"]).text
    assert row(shared, pencils) == ("Pencils", 120, "boxes", None, None, "P-1")
    logged = shared.execute(
        "SELECT coalesce(after_name, ''), source, reason FROM inventory_changes WHERE source = 'import' ORDER BY id"
    ).fetchall()
    assert logged == [("Pencils", "import", "monday.csv"), ("<b>Flour", "import", "monday.csv")]
    again = apply(visitor, shown)
    assert again.status_code == 404
    assert "not there any more" in again.text


def test_missing_columns_leave_fields_alone_and_empty_cells_clear_them(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    item = make_item(shared, name="Rice", quantity=4, unit="kg", location="Pantry", reorder_level=5, code="R")
    apply(visitor, preview(visitor, "name,unit,min\nrice,,\n"))
    assert row(shared, item) == ("Rice", 4, None, "Pantry", None, "R")


def test_items_are_found_by_code_first_then_by_name(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    by_code = make_item(shared, name="old name", code="abc", quantity=1)
    by_name = make_item(shared, name="Ärmel", quantity=1)
    apply(visitor, preview(visitor, "code,name,qty\nABC,new name,2\nxyz,äRMEL,3\n,third,4\n"))
    assert row(shared, by_code) == ("new name", 2, None, None, None, "abc")
    assert row(shared, by_name) == ("Ärmel", 3, None, None, None, "xyz")
    assert shared.execute("SELECT quantity, code FROM inventory WHERE name = 'third'").fetchone() == (4, None)


def test_deltas_are_added_to_what_is_there_when_they_are_applied(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    item = make_item(shared, name="Rice", quantity=10)
    shown = preview(visitor, "name,change\nRice,-4\nFlour,+5\n")
    shared.execute("UPDATE inventory SET quantity = quantity - 3")
    assert apply(visitor, shown).status_code == 303
    assert row(shared, item) == ("Rice", 3, None, None, None, None)
    assert shared.execute("SELECT quantity FROM inventory WHERE name = 'Flour'").fetchone() == (5,)


def test_bad_rows_are_listed_with_line_column_and_reason_and_nothing_is_kept(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    make_item(shared, name="apples", code="A1")
    make_item(shared, name="pears", code="P1", quantity=7)
    kept = shared.execute("SELECT count(*) FROM inventory_imports").fetchone()
    text = (
        "code;name;qty\n;one;1,000\n;ONE;2\n;one ;3\nA1;pears;1\nZ9;apples;1\na1;other;1\n;two\nQ;three;1\nq;four;1\n"
    )
    answer = upload(visitor, text, "bad.csv")
    assert answer.status_code == 422
    assert "bad.csv cannot be imported: 7 problems" in answer.text
    assert problems(answer) == [
        ("2", "qty", "“1,000” may be thousands or a fraction: write whole units without separators."),
        ("4", "name", "Line 3 has the same name."),
        ("5", "name", "Another item is called “pears” now. Rename that one first, in an import of its own."),
        ("6", "code", "The item of this name has another code: A1."),
        ("7", "code", "Line 5 has the same code."),
        ("8", "", "2 cells, but the header has 3. Is a delimiter missing, or a quote?"),
        ("10", "code", "Line 9 has the same code."),
    ]
    assert shared.execute("SELECT count(*) FROM inventory_imports").fetchone() == kept


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,delta\nRice,-11\n", "Only 10 are in stock."),
        ("name,delta\nRice,9223372036854775807\n", "The quantity would pass 9223372036854775807."),
        ("name,delta\nnew,-1\n", "No item is called so; nothing can be taken from it."),
        ("name,unit\nnew,kg\n", "No item is called so; a new one needs a quantity."),
        ("code,qty\nnew,1\n", "No item has this code; a new one needs a name."),
        ("code,name,qty\nR,Rice,1\n,RICE ,2\n", "Line 2 has the same name."),
        ("code,name,qty\nR,Basmati,1\n,Rice,2\n", "Line 2 is about the same item."),
        ("name,qty\nM\u00fcsli,1\n".encode("latin-1"), "This line is not UTF-8."),
        ('name,qty\nRice,1\n"open,1\n', "The rest of the file was not read."),
        ("", "The file is empty."),
    ],
)
def test_what_the_stock_does_not_allow_is_refused_in_the_preview(
    visitor: httpx.Client, shared: psycopg.Connection, text: str | bytes, reason: str
) -> None:
    item = make_item(shared, name="Rice", code="R", quantity=10)
    answer = upload(visitor, text)
    assert answer.status_code == 422
    (problem,) = problems(answer)
    assert reason in problem[2]
    assert row(shared, item) == ("Rice", 10, None, None, None, "R")


def test_names_that_change_places_are_refused_with_the_reason(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    make_item(shared, name="one", code="1")
    make_item(shared, name="two", code="2")
    answer = upload(visitor, "code,name\n1,two\n2,one\n")
    assert [problem[2][:33] for problem in problems(answer)] == [
        "Another item is called “two” now.",
        "Another item is called “one” now.",
    ]


def test_the_first_hundred_bad_rows_are_shown_and_all_are_counted(visitor: httpx.Client) -> None:
    answer = upload(visitor, "name,qty\n" + "x,\n" * 250)
    assert "250 problems" in answer.text
    assert len(problems(answer)) == 100
    assert "the first 100" in answer.text


def test_a_change_between_preview_and_apply_is_told_and_not_written_over(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    item = make_item(shared, name="Rice", quantity=10)
    shown = preview(visitor, "name,qty\nRice,12\nFlour,1\n")
    shared.execute("UPDATE inventory SET quantity = 3")
    answer = apply(visitor, shown)
    assert answer.status_code == 409
    assert "The inventory has changed since this preview was made." in answer.text
    assert "<del>3</del> → <ins>12</ins>" in answer.text
    assert row(shared, item) == ("Rice", 3, None, None, None, None)

    make_item(shared, name="flour", quantity=1)
    answer = apply(visitor, answer)
    assert (answer.status_code, counts(answer)) == (409, (0, 1, 1))
    assert apply(visitor, answer).status_code == 303
    assert row(shared, item) == ("Rice", 12, None, None, None, None)


def test_a_change_of_what_the_file_does_not_set_does_no_harm(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    item = make_item(shared, name="Rice", quantity=10)
    shown = preview(visitor, "name,qty\nRice,12\n")
    shared.execute("UPDATE inventory SET location = 'moved'")
    assert apply(visitor, shown).status_code == 303
    assert row(shared, item) == ("Rice", 12, None, "moved", None, None)


def test_a_row_that_has_become_impossible_is_shown_in_place_of_applying(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    make_item(shared, name="Rice", quantity=10)
    shown = preview(visitor, "name,delta\nRice,-10\n")
    shared.execute("UPDATE inventory SET quantity = 9")
    answer = apply(visitor, shown)
    assert answer.status_code == 409
    assert problems(answer) == [("2", "delta", "Only 9 are in stock.")]
    assert "Apply" not in answer.text


def test_nothing_is_applied_while_there_are_problems_whoever_asks(
    visitor: httpx.Client, shared: psycopg.Connection, shared_url: str
) -> None:
    make_item(shared, name="Rice", quantity=10)
    token = upload(visitor, "name,delta\nRice,-10\nFlour,1\n").headers["location"].rpartition("/")[2]
    shared.execute("UPDATE inventory SET quantity = 9")
    with pytest.raises(ChangedMeanwhile), importing(shared_url) as connection:
        apply_file(connection, token)
    assert shared.execute("SELECT name, quantity FROM inventory").fetchall() == [("Rice", 9)]


def test_an_item_that_changes_at_the_very_moment_is_reviewed_anew(
    visitor: httpx.Client, shared: psycopg.Connection, shared_url: str
) -> None:
    make_item(shared, name="Rice", quantity=10)
    shown = preview(visitor, "name,qty\nRice,12\n")
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(apply(visitor, shown)))
    with psycopg.connect(shared_url) as other:
        other.execute("UPDATE inventory SET quantity = 5")
        thread.start()
        waits = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE '%import' AND wait_event_type = 'Lock'"
        eventually(lambda: shared.execute(waits).fetchone())
    thread.join()
    assert answers[0].status_code == 409
    assert "<del>5</del> → <ins>12</ins>" in answers[0].text


def test_an_item_that_somebody_else_holds_makes_it_wait_only_so_long(
    visitor: httpx.Client, shared: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing_module, "LOCK_LIMIT", "200ms")
    make_item(shared, name="Rice", quantity=10)
    shown = preview(visitor, "name,qty\nRice,12\nFlour,1\n")
    with shared.transaction():
        shared.execute("UPDATE inventory SET quantity = 11")
        answer = apply(visitor, shown)
    assert answer.status_code == 503
    assert shared.execute("SELECT name, quantity FROM inventory").fetchall() == [("Rice", 11)]


def test_a_constraint_of_the_shops_own_undoes_the_whole_import(
    visitor: httpx.Client, shared: psycopg.Connection
) -> None:
    shared.execute("ALTER TABLE inventory ADD CONSTRAINT house_rule CHECK (name <> 'forbidden')")
    try:
        answer = apply(visitor, preview(visitor, "name,qty\nallowed,1\nforbidden,1\n"))
        assert answer.status_code == 422
        assert "house_rule" in answer.text
        assert shared.execute("SELECT count(*) FROM inventory").fetchone() == (0,)
    finally:
        shared.execute("ALTER TABLE inventory DROP CONSTRAINT house_rule")


def test_thousands_of_rows_are_one_statement_each_way_and_one_announcement(
    visitor: httpx.Client, shared: psycopg.Connection, shared_url: str
) -> None:
    shared.execute("INSERT INTO inventory (name, quantity) SELECT 'item ' || i, 0 FROM generate_series(1, 3000) AS i")
    text = "name,qty\n" + "".join(f"item {i},{i}\n" for i in range(1, 6001))
    shown = preview(visitor, text)
    assert counts(shown) == (3000, 3000, 0)
    assert "the first 50 of 3000" in shown.text
    with psycopg.connect(shared_url, autocommit=True) as listener:
        listener.execute("LISTEN messages_channel")
        assert apply(visitor, shown).status_code == 303
        payloads = [notify.payload for notify in listener.notifies(timeout=5, stop_after=2)]
    assert [re.findall('"(?:op|operation)": "([a-z]*)"', payload) for payload in payloads] == [
        ["bulk", "update"],
        ["bulk", "insert"],
    ]
    wrong = "SELECT count(*) FROM inventory WHERE quantity <> split_part(name, ' ', 2)::bigint"
    assert shared.execute(wrong).fetchone() == (0,)


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


def test_columns_without_a_meaning_may_be_called_anything(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    shown = preview(
        visitor, "name,qty,<i>\0{x},%s,,%(y)s" + ",more" * 2_000 + "\nRice,1,a,b,c,d" + ",e" * 2_000, "{0}%s<b>\0.csv"
    )
    assert "Not used: &lt;i&gt;{x}, %s, %(y)s, more, more" in shown.text
    assert "<h1>{0}%s&lt;b&gt;" in shown.text
    assert apply(visitor, shown).status_code == 303
    reason = shared.execute("SELECT reason FROM inventory_changes ORDER BY id DESC LIMIT 1").fetchone()
    assert reason
    assert reason[0].startswith("{0}%s<b>")


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
