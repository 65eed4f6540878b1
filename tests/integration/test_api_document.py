"""The OpenAPI document and its page: what they promise holds, whoever asks."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from tests.server import LiveServer
from webapp.access.security import HEADERS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis is not installed")
def test_requests_made_from_the_document_find_nothing_that_it_does_not_say(shared_server: LiveServer) -> None:
    options = ["--seed", "1", "--max-examples", "10", "--generation-database", "none", "--no-color"]
    config = ["--config-file", "tests/fuzzing/schemathesis.toml"]
    document = f"{shared_server.url}/api/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", *config, "run", document, *options]
    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout
    assert "Tested: 9" in run.stdout


def test_the_document_is_openapi_3_1_and_names_every_route(visitor: httpx.Client) -> None:
    document = visitor.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    reading = {"get_items", "get_item", "get_changes"}
    assert operations == reading | {"add_item", "edit_item", "delete_item", "take", "put", "count"}


def test_the_document_says_that_programs_show_a_token_where_there_are_accounts(visitor: httpx.Client) -> None:
    document = visitor.get("/api/openapi.json").json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert document["security"] == [{"token": []}, {}]


def test_the_page_of_the_api_is_plain_html_with_a_line_for_each_kind_of_problem(visitor: httpx.Client) -> None:
    page = visitor.get("/api")
    assert page.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert not re.search(r" style=| on\w+=|<style", page.text)
    for problem in visitor.get("/api/openapi.json").json()["x-problem-types"]:
        assert f'id="{problem["type"].partition("#")[2]}"' in page.text
    assert "9007199254740991" in page.text, "JavaScript loses digits beyond, and is told so"


def test_every_link_within_the_page_leads_somewhere(visitor: httpx.Client) -> None:
    page = visitor.get("/api").text
    targets = set(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets
    assert len(re.findall(r' id="', page)) == len(targets), "each id is there once"
