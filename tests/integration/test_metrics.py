"""What Prometheus reads: the parts' own state, in both of its formats."""

import os
import re

import httpx
import psycopg
import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.browserless import open_page
from tests.factories import make_item
from tests.integration.test_probes import values
from tests.server import LiveServer, serve
from tests.waiting import eventually, until
from webapp import __version__
from webapp.operations import vitals
from webapp.settings import RESOURCES


def scrape(server: LiveServer) -> dict[tuple[str, ...], float]:
    return values(httpx.get(f"{server.url}/metrics", verify=False, timeout=20).text)


async def test_what_the_process_does_is_in_its_metrics(shared_server: LiveServer, shared: psycopg.Connection) -> None:
    before = scrape(shared_server)
    async with open_page(shared_server) as page:
        await until(lambda: page.beats)
        make_item(shared, name="apples", quantity=10)
        await until(lambda: ("apples", 10) in page.items())
        now = scrape(shared_server)
        written = int(now["live_inventory_frames_total",] - before["live_inventory_frames_total",])
        await until(lambda: len(page.frames) >= written > 1)
    assert now["live_inventory_sockets", "/live"] == 1
    assert now["live_inventory_views", "watched"] == 2, "the items and the summary"
    assert now["live_inventory_changes_total",] == before["live_inventory_changes_total",] + 1
    sent = sum(len(frame.encode()) for frame in page.frames[:written])
    framing = now["live_inventory_frame_bytes_total",] - before["live_inventory_frame_bytes_total",] - sent
    assert 2 * written <= framing <= 4 * written
    for grown in ("live_inventory_renders_total", "live_inventory_refresh_seconds_count", "process_cpu_seconds_total"):
        assert now[grown,] > before[grown,], grown
    assert 0 <= now["live_inventory_feed_lag_seconds",] < 5
    assert now["live_inventory_pool_connections", "idle"] >= 1
    assert now["live_inventory_courier_busy",] == now["live_inventory_pool_waiting",] == 0
    assert 0 <= now["live_inventory_notify_queue_usage_ratio",] < 1
    assert [name for name in now if name[0] == "live_inventory_build_info" and __version__ in name]


def test_prometheus_gets_the_newer_format_if_it_asks_and_the_process_says_which_it_is(
    shared_server: LiveServer,
) -> None:
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    response = httpx.get(f"{shared_server.url}/metrics", verify=False, headers=headers)
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    families = openmetrics(response.text)  # type: ignore[no-untyped-call]
    samples = [sample for family in families for sample in family.samples]
    assert {sample.labels["pid"] for sample in samples} == {str(os.getpid())}


def test_the_queue_is_asked_for_again_and_again_though_nobody_scrapes(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vitals, "ASK_DATABASE_EVERY_S", 0.01)
    with serve(database_url) as server:
        signs = server.app.state.status._vitals
        eventually(lambda: signs.database.notify_queue_use is not None)
        answer = signs.database
        eventually(lambda: signs.database is not answer)


def test_nothing_is_left_in_the_registry_that_other_libraries_share(shared_server: LiveServer) -> None:
    assert not [name for name in REGISTRY._names_to_collectors if "live_inventory" in name]


def test_the_deployment_guide_explains_every_metric_of_ours_and_no_other(shared_server: LiveServer) -> None:
    guide = (RESOURCES / "DEPLOYMENT.md").read_text()
    table = guide.partition("| metric `live_inventory_…` |")[2].partition("\n\n")[0]
    explained = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", "|".join(row.split("|")[:2]))}
    families = text_string_to_metric_families(httpx.get(f"{shared_server.url}/metrics", verify=False).text)
    ours = {f"{each.name}{'_total' if each.type == 'counter' else ''}" for each in families if each.samples}
    ours = {name.removeprefix("live_inventory_") for name in ours if name.startswith("live_inventory_")}
    assert len(ours) > 10
    assert explained == ours
