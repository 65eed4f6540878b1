"""Looks for what is wrong with a deployment, or soon may be; it changes nothing."""

import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import psycopg
from psycopg.rows import dict_row

from webapp.database import Database, locate
from webapp.embedded import EmbeddedServer, default_data_dir
from webapp.hearing import check_hearing
from webapp.migrations import OLDEST_SERVER, all_migrations, applied_migrations, check_history
from webapp.queries import QUERIES
from webapp.serving import listen
from webapp.settings import Settings, SetupError

NEWEST_TRIED = 18
GIB = 1024**3
LOW_DISK, FULL_DISK = GIB, GIB // 10
LARGE_LOG = 10 * GIB
FAR_APART_S = 2.0


class Finding(NamedTuple):
    """One thing that was looked at, and the line that helps where it is not as it should be."""

    level: Literal["ok", "warn", "fail"]
    what: str
    help: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything that can be looked at."""
    yield from _examine_settings(settings)
    yield _examine_port(settings)
    if settings.database_url is None and not (EmbeddedServer(default_data_dir(settings)).data_dir / "cluster").exists():
        yield Finding("ok", "no embedded database yet: the first start makes it")
        return
    try:
        database = locate(settings)
        with psycopg.connect(database.url, autocommit=True, connect_timeout=5, prepare_threshold=None) as connection:
            connection.read_only = True
            yield Finding("ok", "the database answers")
            yield from _examine_database(connection, settings)
    except (SetupError, psycopg.OperationalError) as error:
        yield Finding(
            "fail", f"the database cannot be used: {_first_line(error)}", _rest(error) or "Check DATABASE_URL."
        )
        return
    yield _examine_hearing(database)
    if database.server:
        yield _examine_disk(database.server)


def _examine_settings(settings: Settings) -> Iterator[Finding]:
    yield Finding("ok", f"the settings can be read; times are shown in {settings.timezone.key}")
    if settings.host_is_loopback:
        yield Finding("ok", f"HOST {settings.host} lets only this machine in")
    elif not settings.allowed_hosts:
        what = f"HOST {settings.host} lets other machines in, but no name that browsers may use is known"
        yield Finding("fail", what, "Set ALLOWED_HOSTS to the names, such as stock.example.com.")
    else:
        what = f"HOST {settings.host} lets other machines in, and without TLS what is sent can be read on the way"
        yield Finding("warn", what, "Put a reverse proxy with TLS in front, and set HOST=127.0.0.1 if it is here.")
    if settings.allowed_hosts and not settings.trusted_proxies:
        what = "TRUSTED_PROXIES is not set: behind a proxy, all visitors look like one address"
        yield Finding("warn", what, "If there is a proxy, set TRUSTED_PROXIES to its address, such as 127.0.0.1.")


def _examine_port(settings: Settings) -> Finding:
    try:
        listen(settings.host, settings.port).close()
    except SetupError as error:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{settings.port}/healthz", timeout=1):
            return Finding("ok", f"port {settings.port} is served, as it seems by us")
        return Finding("fail", _first_line(error), "Stop what uses it, or set PORT to another.")
    return Finding("ok", f"port {settings.port} is free")


def _examine_database(connection: psycopg.Connection[Any], settings: Settings) -> Iterator[Finding]:
    asked_at = datetime.now(UTC)
    with connection.cursor(row_factory=dict_row) as cursor:
        facts = cursor.execute(QUERIES["server_facts"], {}).fetchone() or {}
    away_s = abs((facts["now"] - asked_at).total_seconds())
    yield from _examine_server(facts)
    yield _unless(
        away_s > FAR_APART_S,
        "the clocks of database and application agree",
        ("warn", f"the clocks are {away_s:.0f} s apart", "Let both machines set their clocks by NTP."),
    )
    yield _examine_migrations(connection)
    yield from _examine_role(facts)
    yield from _examine_writers(facts)
    yield from _examine_log(facts, settings)


def _examine_server(facts: dict[str, Any]) -> Iterator[Finding]:
    major, version = facts["major"], facts["version"]
    oldest = OLDEST_SERVER // 10000
    if major < oldest:
        yield Finding("fail", f"PostgreSQL {version} is too old", f"Version {oldest} or later is needed.")
    elif major > NEWEST_TRIED:
        yield Finding("warn", f"PostgreSQL {version} is newer than what was tried", f"Up to {NEWEST_TRIED} it was.")
    else:
        yield Finding("ok", f"PostgreSQL {version}")
    yield _unless(
        facts["is_standby"],
        "it is a primary",
        ("fail", "it is a standby, which cannot be written to", "Let DATABASE_URL name the primary."),
    )
    yield _unless(
        facts["encoding"] != "UTF8",
        "its encoding is UTF8",
        (
            "fail",
            f"its encoding is {facts['encoding']}",
            "CREATE DATABASE inventory ENCODING 'UTF8' TEMPLATE template0;",
        ),
    )
    yield _unless(
        facts["fsync"] == "off",
        "it writes to the disk what it has committed",
        ("fail", "fsync is off: a crash loses the database", "ALTER SYSTEM SET fsync = on; then reload."),
    )
    yield _unless(
        facts["checksums"] == "off",
        "data checksums are on",
        (
            "warn",
            "data checksums are off: a failing disk is found late",
            "With the server stopped: pg_checksums --enable",
        ),
    )


def _examine_migrations(connection: psycopg.Connection[Any]) -> Finding:
    known = all_migrations()
    try:
        applied = applied_migrations(connection)
        check_history(applied, known)
    except SetupError as error:
        return Finding("fail", _first_line(error), _rest(error))
    except psycopg.errors.InsufficientPrivilege as error:
        return Finding("fail", _first_line(error), "Use the role that made the tables.")
    missing = [each.name for each in known if each.name not in applied]
    what = f"migrations are missing: {', '.join(missing)}"
    return _unless(missing, "the schema is up to date", ("warn", what, "The next start applies them, or: migrate"))


def _examine_role(facts: dict[str, Any]) -> Iterator[Finding]:
    role = facts["role"]
    line = f'GRANT USAGE, CREATE ON SCHEMA public TO "{role}";'
    yield _unless(
        not facts["may_create"],
        f"the role {role} may create tables",
        ("fail", f"the role {role} may not create tables", line),
    )
    yield _unless(
        facts["is_owner"] is False,
        "the tables are the role's own",
        ("fail", f"the tables do not belong to {role}", "Use the role that made the tables."),
    )
    help_ = "As a superuser, in this database: CREATE EXTENSION pg_trgm; then make the index of migration 0006."
    yield _unless(
        not facts["has_trigrams"],
        "searches have an index",
        ("warn", "pg_trgm is not there: a search reads all items", help_),
    )


def _examine_writers(facts: dict[str, Any]) -> Iterator[Finding]:
    off = ", ".join(facts["triggers_off"])
    line = "ALTER TABLE inventory ENABLE TRIGGER USER; ALTER TABLE inventory_changes ENABLE TRIGGER USER;"
    yield _unless(
        off,
        "every writer's changes are logged",
        ("fail", f"these triggers are off, so that changes are not seen: {off}", line),
    )
    yield _unless(
        facts["replication_role"] != "origin",
        "triggers fire for this role",
        (
            "fail",
            f"session_replication_role is {facts['replication_role']}: triggers do not fire",
            f'ALTER ROLE "{facts["role"]}" RESET session_replication_role;',
        ),
    )
    use = facts["queue_use"]
    yield _unless(
        use > 0.25,
        f"the queue of notifications is {use:.0%} full",
        (
            "warn",
            f"the queue of notifications is {use:.0%} full",
            "A listening session has a transaction open: end it.",
        ),
    )
    yield _unless(
        facts["idle_in_transaction"],
        "nobody leaves a transaction open",
        (
            "warn",
            f"{facts['idle_in_transaction']} sessions are idle in a transaction for more than a minute",
            f"SELECT pg_terminate_backend({facts['idle_pid']}); or set idle_in_transaction_session_timeout.",
        ),
    )


def _examine_log(facts: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    size = f"the history takes {facts['log_bytes'] / GIB:.1f} GiB"
    kept = f"{settings.history_days} days are kept" if settings.history_days else "it is kept for ever"
    is_large = facts["log_bytes"] > LARGE_LOG and not settings.history_days
    yield _unless(is_large, f"{size}, {kept}", ("warn", f"{size}, {kept}", "Set HISTORY_DAYS to remove what is older."))


def _examine_hearing(database: Database) -> Finding:
    try:
        check_hearing(database.url, database.listen_url)
    except SetupError as error:
        return Finding("fail", _first_line(error), _rest(error))
    return Finding("ok", "notifications are heard")


def _examine_disk(server: EmbeddedServer) -> Finding:
    free = shutil.disk_usage(server.data_dir).free
    what = f"{free / GIB:.1f} GiB are free where the embedded database is"
    if free < LOW_DISK:
        help_ = "Make room there, or move it: backup, set DATA_DIR, restore."
        return Finding("fail" if free < FULL_DISK else "warn", what, help_)
    return Finding("ok", what)


def _unless(problem: object, fine: str, otherwise: tuple[Literal["warn", "fail"], str, str]) -> Finding:
    return Finding(*otherwise) if problem else Finding("ok", fine)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _rest(error: Exception) -> str:
    return str(error).strip().partition("\n")[2].replace("\n", " ")
