"""What every answer has: methods, headers, how long it may be kept; and the static files."""

import httpx
import pytest

from tests.server import serve
from tests.waiting import eventually
from webapp.access.security import HEADERS
from webapp.live.summary import Summary
from webapp.pages.static_files import SCRIPTS
from webapp.rendering import build, static_url


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", static_url("css/app.css")])
def test_head_answers_as_get_without_a_body(visitor: httpx.Client, path: str) -> None:
    answers: list[httpx.Response] = []

    def is_answered() -> bool:
        answers.append(visitor.head(path))
        return answers[-1].status_code == 200

    eventually(is_answered)  # a busy machine is not ready at every moment
    assert answers[-1].content == b""


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", "GET, HEAD"),
        ("GET", "/items/1/take", "POST"),
        ("DELETE", "/items/1/take", "POST"),
        ("PUT", "/healthz", "GET, HEAD"),
        ("POST", static_url("css/app.css"), "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_which_one_is_right(visitor: httpx.Client, method: str, path: str, allowed: str) -> None:
    answer = visitor.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == set(allowed.split(", "))


def test_pages_and_errors_bear_the_same_headers_and_errors_are_not_kept(visitor: httpx.Client) -> None:
    for path in ("/", "/nothing", "/items/1/take", static_url("nothing.css"), static_url("css/app.css")):
        answer = visitor.get(path)
        assert answer.headers.items() >= {name.lower(): value for name, value in HEADERS.items()}.items()
        if answer.status_code >= 400:
            assert answer.headers["cache-control"] == "no-store"
            assert "Back to the items" in answer.text


def test_a_defect_is_a_page_with_all_headers(shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(self: Summary, **options: bool) -> None:
        raise ArithmeticError

    monkeypatch.setattr(Summary, "read", fail)
    with serve(shared_url) as server:
        answer = httpx.get(server.url, verify=False)
    assert answer.status_code == 500
    assert "Something went wrong" in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_static_files_are_kept_for_ever_and_known_by_their_tag(visitor: httpx.Client) -> None:
    answer = visitor.get(static_url("css/app.css"))
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = visitor.get(static_url("css/app.css"), headers={"If-None-Match": f"W/{answer.headers['etag']}"})
    assert (again.status_code, again.content, again.headers["vary"]) == (304, b"", "Accept-Encoding")


@pytest.mark.parametrize(("path", "media_type"), [("css/app.css", "text/css"), (SCRIPTS, "text/javascript")])
def test_static_files_are_compressed_for_those_who_read_that(visitor: httpx.Client, path: str, media_type: str) -> None:
    packed, plain = (visitor.get(static_url(path), headers={"Accept-Encoding": way}) for way in ("gzip, br", "br"))
    assert packed.content == plain.content
    assert [answer.headers.get("content-encoding") for answer in (packed, plain)] == ["gzip", None]
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["etag"] != plain.headers["etag"]
    for answer in (packed, plain):
        assert "Accept-Encoding" in answer.headers["vary"]
        assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"


def test_a_page_of_another_build_still_gets_its_scripts_but_must_not_keep_them(visitor: httpx.Client) -> None:
    answer = visitor.get("/static/0123456789ab/vendor/htmx.min.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["nothing.css", "", "css", "css/", "%00", "x" * 300, "..%2f..%2fpyproject.toml", "%2e%2e/pyproject.toml", "%ff"],
)
def test_a_static_file_that_is_not_there_is_not_found_and_not_kept(visitor: httpx.Client, path: str) -> None:
    for folder in (f"/static/{build()}/", "/static/", "/static/css/"):
        answer = visitor.get(folder + path)
        assert answer.status_code == 404
        assert answer.headers["cache-control"] == "no-store"


def test_who_asks_for_an_icon_is_led_to_it(visitor: httpx.Client) -> None:
    answer = visitor.get("/favicon.ico", follow_redirects=True)
    assert answer.headers["content-type"] == "image/svg+xml"
