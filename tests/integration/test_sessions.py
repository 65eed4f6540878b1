"""Signing in and out, and the sessions between, as a browser without scripts meets them."""

import re
from unittest.mock import Mock

import httpx
import psycopg
import pytest

from tests.accounts import PASSWORD, as_browser, cookie, make_account, on, sign_in, token_for
from tests.server import LiveServer, serve
from webapp.access import accounts, passwords, sessions
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
