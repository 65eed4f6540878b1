"""What load balancers and Prometheus are told of a process, with the database that it has or has lost."""

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.proxy import network_before
from tests.server import LiveServer, serve
from tests.waiting import eventually
from webapp.operations import probes
from webapp.postgres.migrations import all_migrations

READY = {"status": "ok", "database": "ok", "migrations": "ok", "feed": "ok"}


def get(server: LiveServer, path: str) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", verify=False, timeout=20, headers={"Host": "10.1.2.3"})


def values(text: str) -> dict[tuple[str, ...], float]:
    """Return samples by name and the values of their labels, but for the process's number."""
    families = list(text_string_to_metric_families(text))
    assert all("pid" in sample.labels for family in families for sample in family.samples)
    return {
        (sample.name, *(value for name, value in sample.labels.items() if name != "pid")): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_answer_to_any_host_and_to_head(shared_server: LiveServer, path: str) -> None:
    eventually(lambda: get(shared_server, path).status_code == 200)
    for method in ("GET", "HEAD"):
        response = httpx.request(method, f"{shared_server.url}{path}", verify=False, headers={"Host": "10.1.2.3"})
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"


def test_a_process_is_ready_when_database_migrations_and_feed_are(shared_server: LiveServer) -> None:
    eventually(lambda: get(shared_server, "/readyz").json() == READY)


def test_a_schema_that_lacks_a_migration_is_named(database_url: str, database: psycopg.Connection) -> None:
    newest = all_migrations()[-1].name
    with serve(database_url) as server:
        database.execute("DELETE FROM inventory_migrations WHERE name = %s", [newest])
        answer = get(server, "/readyz")
        assert (answer.status_code, answer.json()["migrations"]) == (503, f"missing: {newest}")
        database.execute("DROP TABLE inventory_migrations")
        assert get(server, "/readyz").json()["migrations"] == "cannot be read (UndefinedTable)"


def test_a_dead_feed_alone_is_named(database_url: str) -> None:
    with network_before(database_url) as (url, network), serve(database_url, listen_database_url=url) as server:
        eventually(lambda: get(server, "/readyz").json() == READY)
        network.stall()
        eventually(lambda: get(server, "/readyz").status_code == 503)
        parts = get(server, "/readyz").json()
        assert parts["feed"].startswith("not read for ")
        assert (parts["database"], parts["migrations"]) == ("ok", "ok")
        assert values(httpx.get(f"{server.url}/metrics", verify=False).text)["live_inventory_feed_lag_seconds",] > 1.7
        network.mend()


def test_a_silent_database_is_named_before_the_prober_loses_patience(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with network_before(database_url) as (url, network), serve(url, listen_database_url=database_url) as server:
        eventually(lambda: get(server, "/readyz").json() == READY)
        network.stall()
        monkeypatch.setattr(probes, "ANSWER_LIMIT_S", 0.2)
        parts = get(server, "/readyz").json()
        assert parts["database"] == "no answer within 0.2 s"
        assert (parts["migrations"], parts["feed"]) == ("not known without the database", "ok")
        network.mend()
        eventually(lambda: get(server, "/readyz").json() == READY)
