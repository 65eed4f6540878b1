"""Links by which a password is chosen: each holds once, as long as nothing has come between."""

import httpx
import psycopg
import pytest

from tests.accounts import LINK, PASSWORD, as_browser, make_account, on, token_for
from tests.server import LiveServer
from webapp.access import accounts
from webapp.access.invitations import LAST, find_invitation, invite


def test_an_invitation_works_once(admin: httpx.Client, guarded_server: LiveServer) -> None:
    answer = admin.post("/accounts", data={"name": "Grace", "role": "viewer"})
    found = LINK.search(answer.text)
    assert answer.status_code == 201
    assert found is not None
    address = found[1]
    token = address.partition("=")[2]
    with as_browser(guarded_server) as grace:
        assert "Welcome" in grace.get(address).text
        short = grace.post("/invitation", data={"token": token, "password": "short"})
        assert (short.status_code, "at least 10" in short.text) == (422, True)
        assert grace.post("/invitation", data={"token": token, "password": PASSWORD}).status_code == 303
        assert grace.get("/").status_code == 200
        assert grace.get(address).status_code == 410
        assert grace.post("/invitation", data={"token": token, "password": PASSWORD}).status_code == 422


@pytest.mark.parametrize("ends", ["not an admin any more", "deleted"])
def test_the_links_of_who_is_no_admin_any_more_are_worth_nothing(
    guarded_server: LiveServer, nobody: httpx.Client, shared_url: str, ends: str
) -> None:
    maker = make_account(shared_url, f"An admin who is {ends}", "admin", PASSWORD)
    invited = make_account(shared_url, f"Invited by one who is {ends}", "viewer")
    with as_browser(guarded_server, token_for(shared_url, maker)) as client:
        (link,) = LINK.findall(client.post(f"/accounts/{invited.id}/invite").text)
    assert nobody.get(link).status_code == 200
    if ends == "deleted":
        on(shared_url, accounts.delete_account, maker.id)
    else:
        on(shared_url, accounts.set_role, maker.id, "editor")
    assert nobody.get(link).status_code == 410
    answer = nobody.post("/invitation", data={"token": link.partition("=")[2], "password": PASSWORD})
    assert (answer.status_code, "no longer valid" in answer.text) == (422, True)


def test_an_account_has_one_link_at_a_time(admin: httpx.Client, nobody: httpx.Client, shared_url: str) -> None:
    account = make_account(shared_url, "Invited twice")
    links = [LINK.findall(admin.post(f"/accounts/{account.id}/invite").text)[0] for _ in range(2)]
    assert [nobody.get(link).status_code for link in links] == [410, 200]


def test_the_link_for_the_first_account_is_the_newest(database_url: str) -> None:
    first, second = (on(database_url, invite) for _ in range(2))
    assert on(database_url, find_invitation, first) is None
    assert on(database_url, find_invitation, second) is not None


def test_a_link_ends_after_some_days(nobody: httpx.Client, shared_url: str, shared: psycopg.Connection) -> None:
    token = on(shared_url, invite, make_account(shared_url, "Does not look into the mail").id)
    shared.execute("UPDATE inventory_invitations SET expires_at = expires_at - %s", [LAST])
    assert nobody.get(f"/invitation?token={token}").status_code == 410
    assert nobody.post("/invitation", data={"token": token, "password": PASSWORD}).status_code == 422


def test_with_another_password_the_link_to_choose_one_is_worth_nothing(
    admin: httpx.Client, nobody: httpx.Client, shared_url: str
) -> None:
    account = make_account(shared_url, "Changes his mind")
    (link,) = LINK.findall(admin.post(f"/accounts/{account.id}/invite").text)
    on(shared_url, accounts.set_password, account.id, PASSWORD)
    assert nobody.get(link).status_code == 410
