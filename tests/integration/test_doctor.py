"""`doctor` on deployments with something wrong, each made wrong for real."""

import socket
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.accounts import make_account
from tests.command import call
from tests.integration.parts import pgbouncer, postgres_15
from tests.server import serve
from webapp.operations import doctor, examination
from webapp.operations.doctor import examine
from webapp.operations.examination import Finding
from webapp.postgres.hearing import check_hearing
from webapp.postgres.migrations import migrate
from webapp.postgres.queries import QUERIES
from webapp.settings import Settings

HASTY = "fsync is off: a crash loses the database"
UNCHECKED = "data checksums are off: a failing disk is found late"


def findings(url: str, **settings: Any) -> list[Finding]:
    return list(examine(Settings(database_url=url, **{"port": 0, **settings})))


def wrong(url: str, **settings: Any) -> dict[str, str]:
    """Return what is wrong with a deployment, to its level; but for how servers for tests are run."""
    found = findings(url, **settings)
    return {each.what: each.level for each in found if each.level != "ok" and each.what not in (HASTY, UNCHECKED)}


def test_all_is_well_with_what_is_well(database_url: str) -> None:
    assert wrong(database_url) == {}
    assert len(findings(database_url)) > 15


def test_each_line_says_how_it_is_and_the_status_whether_something_must_be_mended(
    database: psycopg.Connection, database_url: str
) -> None:
    database.execute("ALTER TABLE inventory DISABLE TRIGGER inventory_log_update")
    done = call("doctor", DATABASE_URL=database_url, PORT="0")
    assert (done.returncode, done.stderr[:14]) == (1, "To be mended: ")
    assert "ok   the database answers\n" in done.stdout
    off = "these triggers are off, so that changes are not seen: inventory_log_update"
    assert f"fail {off}\n     ALTER TABLE" in done.stdout


def test_it_changes_nothing(empty_database: str) -> None:
    assert any("migrations are missing: 0001_inventory" in what for what in wrong(empty_database))
    with psycopg.connect(empty_database) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchone() == (0,)


def test_it_makes_no_database(tmp_path: Path) -> None:
    *_, last = examine(Settings(database_url=None, data_dir=tmp_path / "none", port=0))
    assert last == Finding("ok", "no embedded database yet: the first start makes it")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_is_the_last_that_is_told() -> None:
    *_, last = findings("postgresql://someone:s3cret@127.0.0.1:1/nowhere")
    assert last.level == "fail"
    assert "Connection refused" in last.what
    assert "s3cret" not in str(last)


def test_a_schema_that_is_not_ours_is_told(database: psycopg.Connection, database_url: str) -> None:
    database.execute("INSERT INTO inventory_migrations (name, checksum) VALUES ('9999_from_the_future', '')")
    assert any("newer than this release" in what for what in wrong(database_url))


def test_a_role_that_may_not_is_told_with_the_line_that_helps(database_url: str, stranger: str) -> None:
    url = make_conninfo(database_url, user=stranger, password=stranger)
    told = {each.what: each.help for each in findings(url)}
    assert (
        told[f"the role {stranger} may not create tables"] == f'GRANT USAGE, CREATE ON SCHEMA public TO "{stranger}";'
    )
    assert f"the tables do not belong to {stranger}" in told


def test_what_keeps_triggers_from_firing_is_told(database_url: str) -> None:
    url = make_conninfo(database_url, options="-c session_replication_role=replica")
    assert wrong(url) == {"session_replication_role is replica: triggers do not fire": "fail"}


def test_a_transaction_left_open_a_clock_a_large_history_and_a_missing_extension_are_told(
    database: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(QUERIES, "server_facts", QUERIES["server_facts"].replace(b"'1 min'", b"'0 s'"))
    monkeypatch.setattr(examination, "FAR_APART_S", -1)
    monkeypatch.setattr(examination, "LARGE_LOG", 0)
    database.execute("DROP EXTENSION IF EXISTS pg_trgm CASCADE")
    with psycopg.connect(database_url) as idle:
        idle.execute("SELECT 1")
        told = wrong(database_url)
    assert set(told.values()) == {"warn"}
    assert sorted(what.split()[0] for what in told) == ["1", "pg_trgm", "the", "the"]
    assert "the history takes 0.0 GiB, it is kept for ever" in told
    assert not any("history" in what for what in wrong(database_url, history_days=30))


def test_places_that_others_reach_and_ports_that_others_have_are_told(database_url: str) -> None:
    make_account(database_url, "Ada", "admin")
    assert set(wrong(database_url, host="0.0.0.0").values()) == {"fail"}
    assert set(wrong(database_url, host="0.0.0.0", allowed_hosts="stock.example.com").values()) == {"warn"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (what,) = wrong(database_url, port=listening.getsockname()[1])
    assert "in use" in what


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"allowed_hosts": "stock.example.com"}, "TRUSTED_PROXIES is not set"),
        ({"trusted_proxies": "10.0.0.1", "trusted_user_header": "X-User"}, "whoever 10.0.0.1/32 names in X-User"),
    ],
)
def test_what_proxies_may_do_is_told(shared_url: str, settings: dict[str, str], what: str) -> None:
    told = wrong(shared_url, **settings)
    assert what in {found[: len(what)] for found in told}
    assert set(told.values()) == {"warn"}


def test_a_port_that_a_server_of_ours_has_is_no_trouble(shared_url: str) -> None:
    with serve(shared_url) as server:
        assert f"port {server.port} is in use, apparently by this program" in {
            each.what for each in findings(shared_url, port=server.port)
        }


@pytest.mark.parametrize(("limit", "value", "level"), [("OLDEST_SERVER", 990000, "fail"), ("NEWEST_TRIED", 14, "warn")])
def test_a_server_of_another_age_is_told(
    shared_url: str, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, level: str
) -> None:
    monkeypatch.setattr(examination, limit, value)
    ((what, found),) = wrong(shared_url).items()
    assert (what[:12], found) == ("PostgreSQL 1", level)


def test_an_encoding_that_cannot_write_every_name_is_told(admin_url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            assert wrong(make_conninfo(admin_url, dbname="ascii"))["its encoding is SQL_ASCII"] == "fail"
        finally:
            admin.execute("DROP DATABASE ascii")


def test_who_may_come_in_is_told(database_url: str) -> None:
    nobody, anybody = (
        f"there are no accounts: {who}"
        for who in ("nobody may come in", "anyone who can reach it may change the stock")
    )
    assert wrong(database_url, host="0.0.0.0", allowed_hosts="a.example")[nobody] == "warn"
    assert wrong(database_url, host="0.0.0.0", allowed_hosts="a.example", open_to_all=True)[anybody] == "warn"
    make_account(database_url, "Ada", "admin")
    assert not {nobody, anybody} & wrong(database_url, host="0.0.0.0", allowed_hosts="a.example").keys()


@pytest.mark.parts
def test_a_pooler_that_deafens_is_told(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "check_hearing", partial(check_hearing, patience_s=0.5))
    with pgbouncer(database_url) as pooled:
        assert any("do not arrive" in what for what in wrong(pooled))
        assert wrong(pooled, listen_database_url=database_url) == {}


@pytest.mark.parts
def test_a_server_without_checksums_and_durability_is_told() -> None:
    with postgres_15() as older:
        migrate(older)
        told = {each.what: each.level for each in findings(older)}
    assert told[HASTY] == "fail"
    assert told[UNCHECKED] == "warn"
