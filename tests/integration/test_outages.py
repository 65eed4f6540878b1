"""The database goes away, and comes back: nobody waits for long, and nobody has to restart anything."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.factories import make_item
from tests.proxy import Network, network_before
from tests.server import LiveServer, serve
from tests.waiting import eventually, waiting_for_locks
from webapp.postgres import pool as pool_module


def get(server: LiveServer, path: str = "/") -> httpx.Response:
    return httpx.get(f"{server.url}{path}", verify=False, timeout=20)


def check_outage(server: LiveServer) -> None:
    answer = get(server)
    assert answer.status_code == 503
    assert "The database does not answer at the moment. Nothing was changed." in answer.text
    assert answer.headers["retry-after"] == "5"
    assert httpx.post(f"{server.url}/items/1/put", verify=False, timeout=20).status_code == 503
    eventually(lambda: get(server, "/readyz").status_code == 503)
    assert get(server, "/healthz").status_code == 200


def check_recovery(server: LiveServer) -> None:
    eventually(lambda: get(server).status_code == 200, within_s=20)
    eventually(lambda: get(server, "/readyz").status_code == 200, within_s=20)


@pytest.mark.parametrize("break_it", [Network.cut, Network.stall], ids=["refuses", "keeps silent"])
def test_a_database_that_is_away_is_told_within_seconds_and_pages_recover_by_themselves(
    database_url: str, monkeypatch: pytest.MonkeyPatch, break_it: object
) -> None:
    monkeypatch.setattr(pool_module, "CONNECTION_LIMIT_S", 0.5)
    monkeypatch.setattr(pool_module, "CHECK_LIMIT_S", 0.3)
    with network_before(database_url) as (url, network), serve(url) as server:
        assert get(server).status_code == 200
        (network.stall if break_it is Network.stall else network.cut)()
        check_outage(server)
        network.mend()
        check_recovery(server)


def test_a_restart_of_the_server_is_noticed_before_anybody_is_given_a_dead_connection(database_url: str) -> None:
    with network_before(database_url) as (url, network), serve(url) as server:
        assert get(server).status_code == 200
        network.cut()
        network.mend()
        answers = [httpx.post(f"{server.url}/items/1/put", verify=False, timeout=20) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {404}


def test_readers_do_not_wait_for_those_who_wait_for_a_transaction_that_somebody_has_left_open(
    database_url: str, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "CONNECTION_LIMIT_S", 60)
    monkeypatch.setattr(pool_module, "LOCK_LIMIT", "60s")
    item_id = make_item(database, quantity=100)
    with serve(database_url) as server, ThreadPoolExecutor(20) as crowd:
        with psycopg.connect(database_url) as other:
            other.execute("SELECT FROM inventory FOR UPDATE")
            take = f"{server.url}/items/{item_id}/take"
            taken = [crowd.submit(httpx.post, take, verify=False, timeout=60) for _ in range(20)]
            eventually(lambda: waiting_for_locks(database) >= 4)
            answers = [get(server, path) for path in ("/", f"/items/{item_id}", "/api/items")]
            assert waiting_for_locks(database) == 4
        assert {answer.status_code for answer in answers} == {200}
        assert {each.result().status_code for each in taken} == {303}
    assert database.execute("SELECT quantity FROM inventory").fetchone() == (80,)
