"""What is applied is what was shown: never over a newer change, and all of it or nothing."""

import threading

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.integration.imports import apply, columns_of, counts, preview, problems, upload
from tests.waiting import eventually
from webapp.files import importing as importing_module
from webapp.files.importing import ChangedMeanwhile, apply_file, importing

pytestmark = pytest.mark.usefixtures("no_items")


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
    assert columns_of(shared, item) == ("Rice", 3, None, None, None, None)

    make_item(shared, name="flour", quantity=1)
    answer = apply(visitor, answer)
    assert (answer.status_code, counts(answer)) == (409, (0, 1, 1))
    assert apply(visitor, answer).status_code == 303
    assert columns_of(shared, item) == ("Rice", 12, None, None, None, None)


def test_a_change_of_what_the_file_does_not_set_does_no_harm(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    item = make_item(shared, name="Rice", quantity=10)
    shown = preview(visitor, "name,qty\nRice,12\n")
    shared.execute("UPDATE inventory SET location = 'moved'")
    assert apply(visitor, shown).status_code == 303
    assert columns_of(shared, item) == ("Rice", 12, None, "moved", None, None)


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
