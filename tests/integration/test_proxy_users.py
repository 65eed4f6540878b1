"""People whom a trusted proxy has let in."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.accounts import make_account, on
from tests.server import LiveServer, serve
from webapp.access import accounts


@pytest.fixture(scope="module")
def behind_proxy(guarded_server: LiveServer, shared_url: str) -> Iterator[LiveServer]:
    settings: dict[str, Any] = {"trusted_user_header": "X-Remote-User", "trusted_user_role": "viewer"}
    with serve(shared_url, trusted_proxies="127.0.0.1", **settings) as running:
        yield running


def as_user(server: LiveServer, *names: str | bytes, path: str = "/", method: str = "GET") -> httpx.Response:
    headers = [(b"X-Remote-User", name.encode() if isinstance(name, str) else name) for name in names]
    return httpx.request(method, f"{server.url}{path}", headers=headers, verify=False, timeout=20)


def test_whom_a_trusted_proxy_names_has_the_role_of_his_account(behind_proxy: LiveServer, shared_url: str) -> None:
    make_account(shared_url, "Grace", "editor")
    assert "Grace" in as_user(behind_proxy, "grace").text
    assert as_user(behind_proxy, "Grace", path="/items", method="POST").status_code == 422
    assert as_user(behind_proxy, "Ada", path="/accounts").status_code == 200
    assert as_user(behind_proxy, path="/").status_code == 303, "and nobody gets in without a name"


def test_whom_nobody_knows_gets_the_role_that_the_operator_says(behind_proxy: LiveServer, shared_url: str) -> None:
    assert as_user(behind_proxy, "Zoë".encode()).status_code == 200
    assert on(shared_url, accounts.find_by_name, "Zoë").role.label == "viewer"
    with serve(shared_url, trusted_proxies="127.0.0.1", trusted_user_header="X-Remote-User") as strict:
        assert as_user(strict, "Ada").status_code == 200
        assert as_user(strict, "a stranger").status_code == 303


@pytest.mark.parametrize(
    "names", [("",), ("Ada", "Ada"), ("Ada", "Eve"), (b"\xff",), ("x" * 65,), ("a\u202eb",), (b"a\tb",), ("'; --",)]
)
def test_what_is_no_name_is_nobodys(behind_proxy: LiveServer, shared_url: str, names: tuple[str | bytes, ...]) -> None:
    is_name = names == ("'; --",)
    assert as_user(behind_proxy, *names).status_code == (200 if is_name else 303)


def test_the_header_is_heard_from_nobody_else(
    shared_url: str, guarded_server: LiveServer, caplog: pytest.LogCaptureFixture
) -> None:
    assert as_user(guarded_server, "Ada").status_code == 303, "nobody asked for it"
    with serve(shared_url, trusted_proxies="192.0.2.9", trusted_user_header="X-Remote-User") as other:
        for _ in range(3):
            assert as_user(other, "Ada").status_code == 303
    assert caplog.text.count("is not in TRUSTED_PROXIES: it is not heard") == 1


def test_the_sockets_of_whom_a_proxy_names_end_with_his_account(behind_proxy: LiveServer, shared_url: str) -> None:
    account, address = make_account(shared_url, "Tim", "viewer"), f"{behind_proxy.socket_url}/messages"
    with (
        connect(address, additional_headers={"X-Remote-User": "Tim"}) as socket,
        connect(address, additional_headers={"X-Remote-User": "Ada"}) as other,
    ):
        on(shared_url, accounts.delete_account, account.id)
        with pytest.raises(ConnectionClosed):
            socket.recv(5)
        assert socket.close_code == 1008
        assert other.ping().wait(5)
        assert other.close_code is None


def test_where_a_proxy_names_people_a_server_without_accounts_is_not_open(database_url: str) -> None:
    with serve(database_url, trusted_proxies="192.0.2.9", trusted_user_header="X-Remote-User") as empty:
        assert as_user(empty, path="/").status_code == 303
