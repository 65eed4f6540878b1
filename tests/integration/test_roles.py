"""Every route, and who may ask for it: as this table says, and as the server answers."""

import re
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.accounts import as_browser, cookie, make_account, token_for, wait_until_closed
from tests.server import LiveServer, serve
from webapp.access.accounts import Account
from webapp.roles import GIVEN_ROLES, Role
from webapp.settings import PLACES

TABLE = {
    Role.NOBODY: """
        GET /favicon.ico
        GET /healthz
        GET /invitation
        GET /readyz
        GET /sign-in
        GET /static/{}/{}
        POST /invitation
        POST /sign-in
        POST /sign-out
    """,
    Role.VIEWER: """
        GET /
        GET /account
        GET /activity
        GET /activity.csv
        GET /api
        GET /api/changes
        GET /api/items
        GET /api/items/{}
        GET /api/openapi.json
        GET /export.csv
        GET /items
        GET /items/{}
        GET /locations
        GET /low
        GET /metrics
        GET /status
        GET /account/tokens
        POST /account/tokens
        POST /account/tokens/{}/remove
        POST /account/tokens/remove-all
        POST /account/password
        POST /account/sessions/{}/close
        POST /account/sign-out-everywhere
        WEBSOCKET /live
        WEBSOCKET /messages
    """,
    Role.EDITOR: """
        DELETE /api/items/{}
        GET /import
        GET /import/{}
        GET /items/{}/delete
        GET /items/{}/edit
        GET /items/{}/edit-button
        PATCH /api/items/{}
        POST /api/items
        POST /api/items/{}/count
        POST /api/items/{}/put
        POST /api/items/{}/take
        POST /changes/{}/undo
        POST /import
        POST /import/{}
        POST /items
        POST /items/{}/delete
        POST /items/{}/edit
        POST /items/{}/put
        POST /items/{}/take
    """,
    Role.ADMIN: """
        GET /accounts
        GET /accounts/tokens
        POST /accounts/tokens/{}/remove
        POST /accounts
        POST /accounts/{}/delete
        POST /accounts/{}/invite
        POST /accounts/{}/remove-tokens
        POST /accounts/{}/role
        POST /accounts/{}/sign-out
    """,
}
NEEDED = {route: role for role, text in TABLE.items() for route in map(str.strip, text.strip().splitlines())}
NO_ID = "9223372036854775807"


@pytest.fixture(scope="module")
def server(shared_url: str) -> Iterator[LiveServer]:
    with serve(shared_url) as running:
        yield running


@pytest.fixture(scope="module")
def people(server: LiveServer, shared_url: str) -> dict[Role, Account]:
    people = {Role.labelled(label): make_account(shared_url, f"a {label}", label) for label in GIVEN_ROLES}
    wait_until_closed(server)
    return people


def test_every_route_is_in_the_table(server: LiveServer) -> None:
    assert set(routes_of(server)) == NEEDED.keys()


def test_no_path_that_a_proxy_gives_us_begins_as_a_route_does(server: LiveServer) -> None:
    assert {route.partition("/")[2].partition("/")[0] for route in routes_of(server)} - {""} == PLACES


def routes_of(server: LiveServer) -> Iterator[str]:
    for route in server.app.routes:
        included = getattr(route, "original_router", None)
        for each in included.routes if included else (route,):
            path = re.sub("{.*?}", "{}", getattr(each, "path", ""))
            for method in (getattr(each, "methods", None) or {"WEBSOCKET"}) - {"HEAD"}:
                yield f"{method} {path}"


@pytest.mark.parametrize("role", Role)
def test_a_route_answers_those_of_its_role_and_nobody_else(
    role: Role, server: LiveServer, people: dict[Role, Account], shared_url: str
) -> None:
    wrong = []
    for route, needed in NEEDED.items():
        method, path = route.replace("{}", NO_ID).split(" ")
        token = token_for(shared_url, people[role]) if role else ""
        refused = (is_shut if method == "WEBSOCKET" else is_refused)(server, method, path, token, role)
        if refused is not (role < needed):
            wrong.append(route)
    assert wrong == []


def is_refused(server: LiveServer, method: str, path: str, token: str, role: Role) -> bool:
    with as_browser(server, token) as client:
        answer = client.request(method, path)
    leads_to_sign_in = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
    if role:
        return answer.status_code == 403
    return (answer.status_code == 401 and path != "/sign-in") or (leads_to_sign_in and path != "/sign-out")


def is_shut(server: LiveServer, method: str, path: str, token: str, role: Role) -> bool:
    try:
        with connect(f"{server.socket_url}{path}", additional_headers=cookie(server, token)):
            return False
    except InvalidStatus as error:
        return error.response.status_code == 403


def test_a_program_is_told_how_to_ask(server: LiveServer, people: dict[Role, Account]) -> None:
    answer = httpx.get(f"{server.url}/api/items", verify=False)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
