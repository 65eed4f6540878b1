"""Accounts: who gives them and takes them away, and what each may do."""

import re

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.accounts import PASSWORD, as_browser, cookie, make_account, on, token_for, wait_until_closed
from tests.server import LiveServer, serve
from webapp.access import accounts, sessions, tokens


@pytest.mark.parametrize(
    ("name", "role", "field", "sentence"),
    [
        ("", "viewer", "name", "Give the account a name."),
        ("ADA", "viewer", "name", "already an account called ADA"),
        ("x" * 65, "viewer", "name", "65 characters"),
        ("a\u202eb", "viewer", "name", "invisible"),
        ("a\0b", "viewer", "name", "invisible"),
        ("Tim", "king", "role", "viewer, editor, admin"),
    ],
)
def test_what_is_wrong_with_a_new_account_is_told_beside_it(
    admin: httpx.Client, name: str, role: str, field: str, sentence: str
) -> None:
    answer = admin.post("/accounts", data={"name": name, "role": role})
    assert answer.status_code == 422
    assert re.search(rf'id="{field}-error">[^<]*{sentence}', answer.text)


def test_the_last_admin_who_can_sign_in_stays(admin: httpx.Client, shared_url: str) -> None:
    ada = on(shared_url, accounts.find_by_name, "Ada")
    invited = make_account(shared_url, "Invited, and never seen", "admin")
    for address, data in ((f"/accounts/{ada.id}/delete", {}), (f"/accounts/{ada.id}/role", {"role": "viewer"})):
        answer = admin.post(address, data=data)
        assert (answer.status_code, "the only admin" in answer.text) == (409, True)
    assert admin.post(f"/accounts/{invited.id}/delete").status_code == 303


def test_an_admin_who_was_only_invited_may_go_where_nobody_else_administers(database_url: str) -> None:
    invited = make_account(database_url, "Invited, and never seen", "admin")
    make_account(database_url, "Somebody else", "viewer", PASSWORD)
    on(database_url, accounts.set_role, invited.id, "viewer")
    on(database_url, accounts.delete_account, invited.id)


def test_an_admin_gives_others_roles_signs_them_out_and_deletes_them(admin: httpx.Client, shared_url: str) -> None:
    tom, friend = (make_account(shared_url, name, "viewer") for name in ("Tom", "Tom's friend"))
    his, theirs = (token_for(shared_url, account) for account in (tom, friend))

    def roles() -> list[str | None]:
        found = (on(shared_url, sessions.find_session, token) for token in (his, theirs))
        return [each and each.role.label for each in found]

    admin.post(f"/accounts/{tom.id}/role", data={"role": "editor"})
    assert roles() == ["editor", "viewer"]
    admin.post(f"/accounts/{tom.id}/sign-out")
    assert roles() == [None, "viewer"]
    admin.post(f"/accounts/{friend.id}/delete")
    assert roles() == [None, None]
    assert on(shared_url, accounts.find_by_name, "Tom's friend") is None


def test_the_history_says_who(shared: psycopg.Connection, guarded_server: LiveServer, shared_url: str) -> None:
    zoe = make_account(shared_url, "Zoë", "editor")
    with as_browser(guarded_server, token_for(shared_url, zoe)) as client:
        client.post("/items", data={"name": "hers", "quantity": "1"})
        client.post("/api/items", json={"name": "hers too", "quantity": 1})
    who = shared.execute(
        "SELECT DISTINCT actor, source FROM inventory_changes WHERE after_name LIKE 'hers%' ORDER BY 2"
    )
    assert who.fetchall() == [("Zoë", "api"), ("Zoë", "page")]


def test_a_key_of_another_account_is_another_key(guarded_server: LiveServer, shared_url: str) -> None:
    bodies = set()
    for name in ("Kim", "Lee"):
        with as_browser(guarded_server, token_for(shared_url, make_account(shared_url, name))) as client:
            new = {"name": f"of {name}", "quantity": 1}
            answer = client.post("/api/items", json=new, headers={"Idempotency-Key": "the-same"})
            assert answer.status_code == 201
            bodies.add(answer.json()["name"])
    assert bodies == {"of Kim", "of Lee"}


def test_with_the_last_account_its_sockets_end_where_it_is_not_open(database_url: str) -> None:
    ada = make_account(database_url, "Ada", "admin")
    with serve(database_url, host="0.0.0.0") as shut:
        headers = cookie(shut, token_for(database_url, ada))
        with connect(f"{shut.socket_url}/messages", additional_headers=headers) as socket:
            on(database_url, accounts.delete_account, ada.id, may_be_last=True)
            with pytest.raises(ConnectionClosed):
                socket.recv(5)
            assert socket.close_code == 1008


def test_where_it_is_open_it_says_why_nobody_gives_accounts(database_url: str) -> None:
    with serve(database_url) as opened:
        answer = httpx.get(f"{opened.url}/accounts", verify=False)
        assert httpx.get(f"{opened.url}/", verify=False).status_code == 200
        passed_on = httpx.get(f"{opened.url}/", verify=False, headers={"X-Forwarded-For": "192.0.2.7"})
    assert answer.status_code == 403
    assert "there are no accounts" in answer.text
    assert passed_on.headers["location"] == "/sign-in", "to whom a proxy serves that nobody named it is not open"


def test_a_database_that_can_only_be_read_is_read_by_who_is_signed_in_and_says_why_it_takes_nothing(
    database_url: str, database: psycopg.Connection
) -> None:
    ada = make_account(database_url, "Ada", "admin")
    token = token_for(database_url, ada)
    program = {"Authorization": f"Bearer {on(database_url, tokens.add_token, ada.id, 'scales', 1, may_write=True)}"}
    database.execute("UPDATE inventory_sessions SET seen_at = now() - interval '1 day'")
    database.execute(f'ALTER DATABASE "{database.info.dbname}" SET default_transaction_read_only = on'.encode())
    with serve(database_url) as server, as_browser(server, token) as client:
        wait_until_closed(server)
        read = [client.get("/"), httpx.get(f"{server.url}/api/items", headers=program, verify=False)]
        written = client.post("/items", data={"name": "apples", "quantity": "1"})
    assert [answer.status_code for answer in (*read, written)] == [200, 200, 503]
    assert "The database is read-only at the moment. Nothing was changed." in written.text
