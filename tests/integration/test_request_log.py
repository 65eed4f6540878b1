"""The log of requests, and the ids that answers bear."""

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.server import LiveServer, serve
from tests.waiting import eventually
from webapp.logs import REQUEST_ID

SECRET = "s3cret"


@pytest.fixture(scope="module")
def server(shared_url: str) -> Iterator[LiveServer]:
    with serve(shared_url) as running:

        @running.app.get("/defect")
        async def defect() -> None:
            raise RuntimeError("nobody thought of this")

        yield running


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "webapp.server.request_log"):
        yield caplog


def told(log: pytest.LogCaptureFixture) -> list[tuple[str, dict[str, Any]]]:
    return [(each.getMessage(), each.facts) for each in log.records if each.name == "webapp.server.request_log"]  # type: ignore[attr-defined]


def get(server: LiveServer, path: str, **headers: str) -> httpx.Response:
    return httpx.get(server.url + path, headers=headers, verify=False)


def test_a_request_is_one_line_without_what_was_searched_for_or_sent(
    server: LiveServer, log: pytest.LogCaptureFixture
) -> None:
    headers = {"Cookie": SECRET, "Authorization": f"Bearer {SECRET}"}
    answer = get(server, f"/?q={SECRET}", **headers)
    eventually(lambda: told(log))
    ((what, facts),) = told(log)
    assert what == "answered"
    ms = facts.pop("ms")
    assert ms > 0
    size = int(answer.headers["content-length"])
    assert facts == {
        "request": answer.headers["x-request-id"],
        "method": "GET",
        "path": "/",
        "status": 200,
        "bytes": size,
        "client": "127.0.0.1",
    }
    assert SECRET not in str(log.records[0].__dict__)


@pytest.mark.parametrize("way", ["handed off", "plain"])
def test_a_socket_is_one_line_when_it_opens_and_one_when_it_closes(
    shared_url: str, log: pytest.LogCaptureFixture, way: str
) -> None:
    with serve(shared_url, hand_off=way == "handed off") as server:
        with connect(f"{server.socket_url}/live?q={SECRET}"):
            eventually(lambda: [what for what, _ in told(log)] == ["opened"])
        eventually(lambda: [what for what, _ in told(log)] == ["opened", "closed"])
        (_, opened), (_, closed) = told(log)
    assert (opened["path"], opened["status"], closed["status"]) == ("/live", 101, 101)
    assert opened["request"] == closed["request"]
    assert closed["ms"] > opened["ms"]


def test_a_socket_that_is_refused_is_one_line(server: LiveServer, log: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus), connect(f"{server.socket_url}/live", origin=Origin("http://evil.example")):
        pass
    eventually(lambda: told(log))
    assert [(what, facts["status"]) for what, facts in told(log)] == [("answered", 403)]


def test_nothing_is_told_of_requests_unless_asked_for(server: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert get(server, "/").status_code == 200
        with connect(f"{server.socket_url}/messages"):
            pass
    assert caplog.records == []


def test_an_id_that_a_proxy_has_given_is_kept(server: LiveServer) -> None:
    assert get(server, "/healthz", **{"X-Request-ID": "proxy-4711.a_b"}).headers["x-request-id"] == "proxy-4711.a_b"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a=b"])
def test_an_id_that_is_not_well_formed_is_replaced(server: LiveServer, given: str) -> None:
    answered = get(server, "/healthz", **{"X-Request-ID": given}).headers["x-request-id"]
    assert answered != given
    assert len(answered) == 16


def test_an_error_page_names_the_request(server: LiveServer) -> None:
    answer = get(server, "/nowhere")
    assert f"Error 404 · request {answer.headers['x-request-id']}" in answer.text


class Ids(logging.Handler):
    """Notes for which requests something was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str | None] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(REQUEST_ID.get())


def test_a_defect_is_found_in_the_log_by_what_its_page_says(server: LiveServer) -> None:
    ids = Ids()
    logging.getLogger("uvicorn.error").addHandler(ids)
    try:
        answer = get(server, "/defect")
        eventually(lambda: ids.seen)
    finally:
        logging.getLogger("uvicorn.error").removeHandler(ids)
    assert answer.status_code == 500
    assert ids.seen == [answer.headers["x-request-id"]]
    assert f"request {ids.seen[0]}" in answer.text
    assert "nobody thought of this" not in answer.text
