"""Signing in and out, sessions and accounts, as a browser without scripts meets them."""

import re
from unittest.mock import Mock

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.accounts import PASSWORD, as_browser, cookie, make_account, on, sign_in, token_for, wait_until_closed
from tests.server import LiveServer, serve
from webapp.access import accounts, passwords, sessions, tokens
from webapp.access.attempts import FREE_OF_ACCOUNT


def test_signing_in_leads_to_the_page_that_was_asked_for(nobody: httpx.Client) -> None:
    asked = nobody.get("/activity?who=ada&from=2026-01-01")
    assert asked.headers["location"] == "/sign-in?next=%2Factivity%3Fwho%3Dada%26from%3D2026-01-01"
    page = nobody.get(asked.headers["location"])
    assert 'value="/activity?who=ada&amp;from=2026-01-01"' in page.text
    answer = sign_in(nobody, " aDA ", next="/activity?who=ada")
    assert (answer.status_code, answer.headers["location"]) == (303, "/activity?who=ada")
    assert nobody.get("/activity").status_code == 200
    kept = answer.headers["set-cookie"]
    assert all(word in kept for word in ("session-", "HttpOnly", "SameSite=lax", "Path=/"))


@pytest.mark.parametrize(
    "place", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\r\nX: y", "javascript:x", ""]
)
def test_no_other_site_can_be_led_to(nobody: httpx.Client, place: str) -> None:
    assert sign_in(nobody, next=place).headers["location"] == "/"


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("Ada", "wrong"),
        ("Nobody", PASSWORD),
        ("", ""),
        ("A\0da", PASSWORD),
        ("x" * 10_000, "y" * 10_000),
        ("\u202eAda", "\ud7ff"),
    ],
)
def test_a_wrong_name_and_a_wrong_password_are_told_alike_and_after_the_same_work(
    nobody: httpx.Client, name: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Mock(side_effect=passwords._verify)
    monkeypatch.setattr(passwords, "_verify", verify)
    answer = sign_in(nobody, name, password)
    assert verify.call_count == 1
    assert answer.status_code == 401
    assert "Wrong name or password." in answer.text
    assert "set-cookie" not in answer.headers


def test_the_token_is_new_with_each_sign_in_and_the_old_one_ends(
    nobody: httpx.Client, guarded_server: LiveServer
) -> None:
    sign_in(nobody)
    (first,) = nobody.cookies.values()
    sign_in(nobody)
    (second,) = nobody.cookies.values()
    assert second != first
    with as_browser(guarded_server, first) as old:
        assert old.get("/").status_code == 303


def test_only_digests_of_tokens_and_passwords_are_kept(nobody: httpx.Client, shared: psycopg.Connection) -> None:
    sign_in(nobody)
    rows = shared.execute(
        "SELECT inventory_accounts::text, inventory_sessions::text FROM inventory_accounts, inventory_sessions"
    )
    kept = str(rows.fetchall())
    (token,) = nobody.cookies.values()
    assert token not in kept
    assert PASSWORD not in kept
    assert "$argon2id$" in kept


def test_with_tls_the_cookie_cannot_be_set_by_others(shared_url: str, guarded_server: LiveServer) -> None:
    with serve(shared_url, trusted_proxies="127.0.0.1") as behind_tls, as_browser(behind_tls) as client:
        client.headers["X-Forwarded-Proto"] = "https"
        kept = sign_in(client).headers["set-cookie"]
    assert kept.startswith("__Host-session-")
    assert "Secure" in kept


@pytest.mark.parametrize("address", ["/sign-out", "/account/sign-out-everywhere"])
def test_signing_out_ends_the_session_and_everywhere_all_of_them(
    nobody: httpx.Client, guarded_server: LiveServer, shared_url: str, address: str
) -> None:
    sign_in(nobody)
    (token,) = nobody.cookies.values()
    elsewhere = token_for(shared_url, on(shared_url, accounts.find_by_name, "Ada"))
    assert nobody.post(address).headers["location"] == "/sign-in"
    with as_browser(guarded_server, token) as again:
        assert again.get("/").status_code == 303
    has_ended = on(shared_url, sessions.find_session, elsewhere) is None
    assert has_ended is (address == "/account/sign-out-everywhere")


@pytest.mark.parametrize("column", ["created_at", "seen_at"])
def test_a_session_ends_when_it_is_old_or_was_not_used_for_long(
    nobody: httpx.Client, shared: psycopg.Connection, column: str
) -> None:
    sign_in(nobody)
    shared.execute(f"UPDATE inventory_sessions SET {column} = now() - interval '91 days'".encode())
    assert nobody.get("/").status_code == 303


def test_people_see_their_devices_and_can_sign_one_out(nobody: httpx.Client, shared_url: str) -> None:
    bob = make_account(shared_url, "Bob", "viewer", PASSWORD)
    other, theirs = token_for(shared_url, bob), token_for(shared_url, on(shared_url, accounts.find_by_name, "Ada"))
    sign_in(nobody, "Bob")
    page = nobody.get("/account").text
    ids = re.findall(r"/account/sessions/(\d+)/close", page)
    assert len(ids) == 2
    for session_id in (*ids[1:], str(on(shared_url, sessions.find_session, theirs).session_id)):
        assert nobody.post(f"/account/sessions/{session_id}/close").headers["location"] == "/account"
    assert on(shared_url, sessions.find_session, other) is None
    assert on(shared_url, sessions.find_session, theirs) is not None


def test_a_password_is_changed_by_who_knows_it(nobody: httpx.Client, shared_url: str) -> None:
    eve = make_account(shared_url, "Eve", "viewer", PASSWORD)
    other = token_for(shared_url, eve)
    sign_in(nobody, "Eve")
    wrong = nobody.post("/account/password", data={"old": "not this one", "password": "another password"})
    assert (wrong.status_code, "This is not your current password." in wrong.text) == (422, True)
    short = nobody.post("/account/password", data={"old": PASSWORD, "password": "short"})
    assert (short.status_code, "at least 10 characters" in short.text) == (422, True)
    assert nobody.post("/account/password", data={"old": PASSWORD, "password": "another password"}).status_code == 200
    assert nobody.get("/").status_code == 200
    assert on(shared_url, sessions.find_session, other) is None


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


@pytest.mark.parametrize("said", ["session=", "session=ä", "session=" + "x" * 4000, "session=a; session=b", "=", ";;"])
def test_a_malformed_cookie_is_nobodys(guarded_server: LiveServer, said: str) -> None:
    said = said.replace("session=", cookie(guarded_server, "")["Cookie"])
    answer = httpx.get(f"{guarded_server.url}/", headers={b"Cookie": said.encode()}, verify=False)
    assert answer.status_code == 303


@pytest.mark.parametrize("name", ["Max", "Nobody at all"])
def test_guessing_gets_slow_whether_there_is_such_an_account_or_not(
    nobody: httpx.Client, shared_url: str, shared: psycopg.Connection, name: str
) -> None:
    make_account(shared_url, f"{name}'s friend", "viewer", PASSWORD)
    if name == "Max":
        make_account(shared_url, name, "viewer", PASSWORD)
    statuses = [sign_in(nobody, name, f"guess {number}").status_code for number in range(FREE_OF_ACCOUNT + 1)]
    assert set(statuses) == {401}
    let_the_wait_be_longer_than_a_slow_machine_takes(shared)
    answer = sign_in(nobody, name)
    assert (answer.status_code, f"Try again in {answer.headers['retry-after']} s." in answer.text) == (429, True)
    assert sign_in(nobody, f"{name}'s friend").status_code == 303, "others are not concerned"


def let_the_wait_be_longer_than_a_slow_machine_takes(database: psycopg.Connection) -> None:
    database.execute("UPDATE inventory_sign_in_attempts SET not_before = not_before + interval '1 minute'")


def test_guessing_in_the_form_for_another_password_gets_slow_too(
    nobody: httpx.Client, shared_url: str, shared: psycopg.Connection
) -> None:
    make_account(shared_url, "Una", "viewer", PASSWORD)
    sign_in(nobody, "Una")
    wrong = {"old": "not this one", "password": "another password"}
    statuses = [nobody.post("/account/password", data=wrong).status_code for _ in range(FREE_OF_ACCOUNT + 1)]
    assert set(statuses) == {422}
    let_the_wait_be_longer_than_a_slow_machine_takes(shared)
    assert nobody.post("/account/password", data=wrong).status_code == 429


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
