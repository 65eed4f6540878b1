"""Programs that show an API token."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.accounts import PASSWORD, as_browser, make_account, on, token_for
from tests.factories import make_item
from tests.server import LiveServer
from webapp.access import accounts, tokens
from webapp.access.accounts import Account, AccountError
from webapp.access.invitations import invite
from webapp.access.sessions import find_session

SECRET = re.compile(r'class="secret">(li_[\w-]{43})<')
NEW = {"name": "apples", "quantity": 1}


@pytest.fixture
def server(guarded_server: LiveServer) -> LiveServer:
    return guarded_server


@pytest.fixture
def account(shared_url: str, request: pytest.FixtureRequest) -> Account:
    return make_account(shared_url, request.node.name[-60:])


def new_token(url: str, account: Account, days: int = 1, *, may_write: bool = False) -> str:
    token: str = on(url, tokens.add_token, account.id, "a program", days, may_write=may_write)
    return token


def ask(server: LiveServer, method: str, path: str, token: str, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.request(method, f"{server.url}{path}", headers=headers, verify=False, timeout=20, **more)


def test_a_token_is_shown_once_and_only_its_digest_is_kept(
    server: LiveServer, shared: psycopg.Connection, shared_url: str, account: Account
) -> None:
    with as_browser(server, token_for(shared_url, account)) as client:
        answer = client.post("/account/tokens", data={"label": "nightly", "days": "30", "may_write": "1"})
        again = client.get("/account/tokens")
    (secret,) = SECRET.findall(answer.text)
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
    assert secret not in again.text
    assert "nightly" in again.text
    assert secret not in str(shared.execute("SELECT inventory_tokens::text FROM inventory_tokens").fetchall())
    assert ask(server, "POST", "/api/items", secret, json=NEW | {"name": "by a token"}).status_code == 201


def test_prometheus_is_let_in_with_a_token_to_read_and_not_without(
    server: LiveServer, shared_url: str, account: Account
) -> None:
    answer = ask(server, "GET", "/metrics", new_token(shared_url, account))
    assert answer.status_code == 200
    assert "live_inventory_feed_lag_seconds" in answer.text
    assert ask(server, "GET", "/metrics", "li_forged").status_code != 200


def test_a_token_to_read_reads_and_one_to_write_writes_and_neither_administers(
    server: LiveServer, shared_url: str, shared: psycopg.Connection
) -> None:
    ada = on(shared_url, accounts.find_by_name, "Ada")
    reads, writes = new_token(shared_url, ada), new_token(shared_url, ada, may_write=True)
    for token in (reads, writes):
        for path in ("/api/items", "/", "/export.csv", "/api/changes"):
            assert ask(server, "GET", path, token).status_code == 200
        for path in ("/accounts", "/accounts/tokens", "/account", "/account/tokens"):
            assert ask(server, "GET", path, token).status_code == 303, "it is led to where people sign in"
        assert ask(server, "POST", "/account/tokens", token, data={"label": "x", "days": "9"}).status_code == 401
        assert ask(server, "POST", "/account/password", token, data={"old": "x", "password": "y"}).status_code == 401
    assert ask(server, "POST", "/api/items", reads, json=NEW).status_code == 403
    assert ask(server, "POST", "/api/items", writes, json=NEW).status_code == 201
    assert shared.execute("SELECT actor FROM inventory_changes WHERE after_name = 'apples'").fetchone() == ("Ada",)


def test_a_token_may_no_more_than_its_account(server: LiveServer, shared_url: str, account: Account) -> None:
    token = new_token(shared_url, account, may_write=True)
    on(shared_url, accounts.set_role, account.id, "viewer")
    assert ask(server, "POST", "/api/items", token, json=NEW).status_code == 403
    on(shared_url, accounts.delete_account, account.id)
    assert ask(server, "GET", "/api/items", token).status_code == 401


def test_a_token_expires(server: LiveServer, shared_url: str, shared: psycopg.Connection, account: Account) -> None:
    token = new_token(shared_url, account)
    shared.execute("UPDATE inventory_tokens SET expires_at = now() WHERE account_id = %s", [account.id])
    assert ask(server, "GET", "/api/items", token).status_code == 401


def test_its_last_use_is_noted_at_most_once_a_minute(
    server: LiveServer, shared_url: str, shared: psycopg.Connection, account: Account
) -> None:
    token = new_token(shared_url, account)
    uses = []
    for age_s in (0, 59, 61):
        shared.execute(
            "UPDATE inventory_tokens SET used_at = used_at - make_interval(secs => %s) WHERE account_id = %s",
            [age_s, account.id],
        )
        before = used_at(shared, account)
        ask(server, "GET", "/api/items", token)
        uses.append(used_at(shared, account) != before)
    assert uses == [True, False, True]


def used_at(database: psycopg.Connection, account: Account) -> object:
    row = database.execute("SELECT used_at FROM inventory_tokens WHERE account_id = %s", [account.id]).fetchone()
    return row and row[0]


@pytest.mark.parametrize("ends", ["revoked", "expired", "account deleted"])
def test_whoever_is_connected_with_a_token_is_cut_off_when_it_ends(
    server: LiveServer, shared_url: str, shared: psycopg.Connection, account: Account, ends: str
) -> None:
    headers = {"Authorization": f"Bearer {new_token(shared_url, account)}"}
    kept = {"Authorization": f"Bearer {new_token(shared_url, on(shared_url, accounts.find_by_name, 'Ada'))}"}
    address = f"{server.socket_url}/messages"
    with connect(address, additional_headers=headers) as ended, connect(address, additional_headers=kept) as other:
        if ends == "revoked":
            (row,) = on(shared_url, tokens.tokens_of, account.id)
            on(shared_url, tokens.remove_token, row["id"], account.id)
        elif ends == "expired":
            shared.execute("UPDATE inventory_tokens SET expires_at = now() WHERE account_id = %s", [account.id])
        else:
            on(shared_url, accounts.delete_account, account.id)
        with pytest.raises(ConnectionClosed):
            ended.recv(5)
        assert ended.close_code == 1008
        assert other.ping().wait(5)
        assert other.close_code is None


def test_tokens_outlive_signing_out_and_ones_own_new_password_and_end_when_that_is_said(
    server: LiveServer, shared_url: str
) -> None:
    account = make_account(shared_url, "Una", "editor", PASSWORD)
    token = new_token(shared_url, account)
    with as_browser(server, token_for(shared_url, account)) as client:
        client.post("/account/password", data={"old": PASSWORD, "password": f"{PASSWORD} 2"})
        client.post("/account/sign-out-everywhere")
    assert ask(server, "GET", "/api/items", token).status_code == 200
    with as_browser(server, token_for(shared_url, account)) as client:
        assert "leaves your API token as it is" in client.get("/account").text
        client.post("/account/tokens/remove-all")
    assert ask(server, "GET", "/api/items", token).status_code == 401


@pytest.mark.parametrize("by", ["an admin", "a link", "the command"])
def test_whoever_takes_an_account_back_ends_its_tokens(server: LiveServer, shared_url: str, by: str) -> None:
    account = make_account(shared_url, f"Taken back by {by}", "editor", PASSWORD)
    token, session = new_token(shared_url, account), token_for(shared_url, account)
    ada = on(shared_url, accounts.find_by_name, "Ada")
    with as_browser(server, token_for(shared_url, ada)) as client:
        if by == "an admin":
            assert f"/accounts/{account.id}/remove-tokens" in client.get("/accounts").text
            client.post(f"/accounts/{account.id}/remove-tokens")
        elif by == "a link":
            link = on(shared_url, invite, account.id)
            client.post("/invitation", data={"token": link, "password": PASSWORD})
        else:
            on(shared_url, accounts.set_password, account.id, PASSWORD)
    assert ask(server, "GET", "/api/items", token).status_code == 401
    has_ended = on(shared_url, find_session, session) is None
    assert has_ended is (by != "an admin"), "who sets a password trusts nobody who was in; tokens are removed alone"


def test_nobody_removes_anothers_token_but_an_admin(server: LiveServer, shared_url: str, account: Account) -> None:
    token = new_token(shared_url, account)
    (row,) = on(shared_url, tokens.tokens_of, account.id)
    eve = make_account(shared_url, f"Eve beside {account.id}")
    with as_browser(server, token_for(shared_url, eve)) as client:
        assert client.post(f"/account/tokens/{row['id']}/remove").status_code == 409
        assert client.post(f"/accounts/tokens/{row['id']}/remove").status_code == 403
    assert ask(server, "GET", "/api/items", token).status_code == 200
    with as_browser(server, token_for(shared_url, on(shared_url, accounts.find_by_name, "Ada"))) as client:
        assert account.name in client.get("/accounts/tokens").text
        assert client.post(f"/accounts/tokens/{row['id']}/remove").status_code == 303
    assert ask(server, "GET", "/api/items", token).status_code == 401


@pytest.mark.parametrize(
    ("label", "days", "field"),
    [("", "9", "label"), ("x" * 65, "9", "label"), ("a\0b", "9", "label"), ("a\u202eb", "9", "label")]
    + [("x", days, "days") for days in ("", "0", "367", "-1", "9" * 5_000, "one")],
)
def test_what_is_wrong_with_a_new_token_is_told_beside_it(
    server: LiveServer, shared_url: str, label: str, days: str, field: str
) -> None:
    ada = on(shared_url, accounts.find_by_name, "Ada")
    with as_browser(server, token_for(shared_url, ada)) as client:
        answer = client.post("/account/tokens", data={"label": label, "days": days})
    assert (answer.status_code, f'id="{field}-error"' in answer.text) == (422, True)


def test_an_account_has_no_more_tokens_than_anybody_needs(
    shared_url: str, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST_OF_ACCOUNT", 1)
    new_token(shared_url, account)
    with pytest.raises(AccountError, match="remove one first"):
        new_token(shared_url, account)


@pytest.mark.parametrize(
    "values",
    [
        [b"Bearer"],
        [b"Bearer  li_"],
        [b"Bearer li_"],
        [b"Bearer \xff\xfe"],
        [b"Bearer " + b"x" * 30_000],
        [b"bearer\tli_x"],
        [b"Bearer {good}", b"Bearer {good}"],
        [b"Basic x", b"Bearer {good}"],
        [b"Bearer {good} {good}"],
        [b"Bearer {good}\xe2\x80\xae"],
    ],
)
def test_a_malformed_token_is_nobodys(
    server: LiveServer, shared_url: str, values: list[bytes], account: Account
) -> None:
    good = new_token(shared_url, account).encode()
    headers = [(b"Authorization", value.replace(b"{good}", good)) for value in values]
    answer = httpx.get(f"{server.url}/api/items", headers=headers, verify=False)
    assert answer.status_code == 401


def test_a_wrong_token_is_not_made_good_by_a_cookie(server: LiveServer, shared_url: str, account: Account) -> None:
    with as_browser(server, token_for(shared_url, account)) as client:
        assert client.get("/api/items").status_code == 200
        assert client.get("/api/items", headers={"Authorization": "Bearer li_wrong"}).status_code == 401
        token = new_token(shared_url, account)
        assert client.get("/account", headers={"Authorization": f"Bearer {token}"}).status_code == 303
        assert client.get("/api/items", headers={"Authorization": "Basic eDp5"}).status_code == 200, "a proxy's own"


def test_a_socket_with_a_wrong_token_is_not_opened(server: LiveServer) -> None:
    headers = {"Authorization": "Bearer li_wrong"}
    with pytest.raises(InvalidStatus), connect(f"{server.socket_url}/messages", additional_headers=headers):
        pass


def test_whoever_waits_for_changes_is_told_none_after_the_token_has_ended(
    server: LiveServer, shared_url: str, shared: psycopg.Connection, account: Account
) -> None:
    token = new_token(shared_url, account)
    cursor = ask(server, "GET", "/api/changes", token).json()["cursor"]
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(ask, server, "GET", f"/api/changes?wait=10&after={cursor}", token)
        time.sleep(0.5)  # it waits now; if not yet, it is refused at the door
        on(shared_url, accounts.delete_account, account.id)
        make_item(shared, name="after the end")
        answer = waiting.result()
    assert "after the end" not in answer.text
    assert answer.status_code == 401
