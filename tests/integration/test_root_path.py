"""Below a path: every address that a page, an answer or the API gives leads back below it."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import psycopg
import pytest
from websockets.sync.client import connect

from tests.factories import make_item
from tests.server import LiveServer, serve

ROOT = "/stock"
ADDRESSES = ("href", "src", "action", "formaction", "hx-get", "hx-post", "hx-ws:connect")


@pytest.fixture(scope="module")
def below(shared_url: str) -> Iterator[LiveServer]:
    with serve(shared_url, root_path=ROOT) as running:
        yield running


@pytest.fixture
def visitor(below: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{below.url}{ROOT}", verify=False, timeout=20) as client:
        yield client


class Page(HTMLParser):
    """Collects the addresses in a page, as (attribute, value)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {(name, value) for name, value in attrs if name in ADDRESSES and value}


def test_every_address_in_every_page_leads_below_the_path(below: LiveServer, shared: psycopg.Connection) -> None:
    for number in range(60):
        make_item(shared, name=f"item {number}", quantity=number)
    shared.execute("DELETE FROM inventory WHERE name = 'item 7'")
    waiting, seen, live = ["/stock/"], set[str](), set[str]()
    while waiting:
        path = waiting.pop()
        seen.add(re.sub(r"\d+", "1", path.partition("?")[0]))
        answer = httpx.get(f"{below.url}{path}", verify=False)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            for name, value in Page(answer.text).found:
                address = value.partition("#")[0]
                assert address in ("", ROOT) or address.startswith(f"{ROOT}/"), f'{name}="{value}" in {path}'
                kind = re.sub(r"\d+", "1", address.partition("?")[0])
                if name == "hx-ws:connect":
                    live.add(address)
                elif name in ("href", "src", "hx-get") and kind not in seen and address:
                    seen.add(kind)
                    waiting.append(address)
    assert seen >= {f"/stock/{name}" for name in ("", "activity", "low", "import", "api", "export.csv", "items/1")}
    assert len(live) > 1


def test_forms_and_pieces_lead_below_the_path(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    item = make_item(shared, name="moved", quantity=3)
    host = str(visitor.base_url).removesuffix("/")
    before = {"Referer": f"{host}/activity?who=x"}
    assert visitor.post(f"/items/{item}/put", headers=before).headers["location"] == "/stock/activity?who=x"
    assert visitor.post(f"/items/{item}/put").headers["location"] == "/stock/"
    assert visitor.get("/items").headers["location"] == "/stock/"
    assert visitor.get("/favicon.ico").headers["location"].startswith("/stock/static/")
    htmx = {"HX-Request": "true", "HX-Request-Type": "partial"}
    assert visitor.get("/?q=&sort=name", headers=htmx).headers["hx-push-url"] == "/stock/"
    assert "hx-push-url" not in visitor.get("/?q=moved", headers=htmx).headers
    moved = visitor.post(f"/items/{item}/take", headers={**htmx, **before, "HX-Target": "div#editor"})
    assert moved.headers["hx-redirect"] == "/stock/activity?who=x"


def test_the_api_gives_addresses_below_the_path(visitor: httpx.Client, shared: psycopg.Connection) -> None:
    added = visitor.post("/api/items", json={"name": "by a program", "quantity": 1})
    assert added.headers["location"] == f"/stock/api/items/{added.json()['id']}"
    make_item(shared, name="another", quantity=1)
    following = visitor.get("/api/items?limit=1").json()["next"]
    assert following.startswith("/stock/api/items?")
    problem = visitor.post(f"/api/items/{added.json()['id']}/take", json={"by": 100}).json()
    assert problem["type"] == "/stock/api#not-enough"
    document = visitor.get("/api/openapi.json").json()
    assert document["servers"] == [{"url": "/stock"}]
    assert {each["type"].partition("#")[0] for each in document["x-problem-types"]} == {"/stock/api"}
    assert visitor.get("/api/nothing").headers["content-type"] == "application/problem+json"


def test_what_a_socket_pushes_leads_below_the_path(below: LiveServer, shared: psycopg.Connection) -> None:
    with connect(f"{below.socket_url}{ROOT}/live?q=pushed", max_size=None) as live:
        live.send(json.dumps({"type": "resume"}))
        item = make_item(shared, name="pushed", quantity=1)
        pushed = "".join(str(live.recv(timeout=10)) for _ in range(3))
        assert f'href="/stock/items/{item}"' in pushed
        assert {value[:7] for _, value in Page(pushed).found} == {"/stock/"}


@pytest.mark.parametrize("path", ["/healthz", "/stock/healthz", "/stock", "/stock?q=x", "/", "/low", "/api/items"])
def test_a_proxy_may_cut_the_path_off_or_not(below: LiveServer, path: str) -> None:
    assert httpx.get(f"{below.url}{path}", verify=False).status_code == 200


@pytest.mark.parametrize("path", ["/stockpile", "/stock/stock/", "/stock/stock/api", "/other"])
def test_what_only_looks_like_the_path_is_none(below: LiveServer, path: str) -> None:
    assert httpx.get(f"{below.url}{path}", verify=False).status_code == 404
