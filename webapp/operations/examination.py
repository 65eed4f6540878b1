"""What may be wrong with a database, its server, and the role that it is used by."""

import time
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import psycopg
from psycopg.rows import dict_row

from webapp.postgres.migrations import OLDEST_SERVER, all_migrations, applied_migrations, check_history
from webapp.postgres.queries import QUERIES
from webapp.settings import Settings, SetupError

NEWEST_TRIED = 18
GIB = 1024**3
LARGE_LOG = 10 * GIB
FAR_APART_S = 2.0


class Finding(NamedTuple):
    """One thing that was looked at, and the line that helps where it is not as it should be."""

    level: Literal["ok", "warn", "fail"]
    what: str
    help: str = ""


def examine_database(connection: psycopg.Connection[Any], settings: Settings) -> Iterator[Finding]:
    """Look at what the database says of itself."""
    asked_at = time.time()
    with connection.cursor(row_factory=dict_row) as cursor:
        facts = cursor.execute(QUERIES["server_facts"], {}).fetchone() or {}
    away_s = abs(facts["now"] - asked_at)
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
    yield from _examine_accounts(connection, settings)


def _examine_accounts(connection: psycopg.Connection[Any], settings: Settings) -> Iterator[Finding]:
    readable = "SELECT has_table_privilege(to_regclass('public.inventory_accounts'), 'SELECT')"
    if connection.execute(readable).fetchone() != (True,):
        return  # that something is missing is told already
    has_accounts = connection.execute("SELECT FROM public.inventory_accounts LIMIT 1").rowcount
    what = "anyone who can reach it may change the stock" if settings.is_open else "nobody may come in"
    yield _unless(
        not has_accounts and (settings.open_to_all or not settings.is_open),
        "everyone with an account may sign in" if has_accounts else f"there are no accounts: {what}",
        ("warn", f"there are no accounts: {what}", "live-inventory account add NAME --role admin"),
    )


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
        "it writes what it commits to the disk",
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
        return failure(error)
    except psycopg.errors.InsufficientPrivilege as error:
        return failure(error, "Use the role that made the tables.")
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
    heirs = ", ".join(facts["heirs"])
    yield _unless(
        heirs,
        "the inventory is one table",
        (
            "fail",
            f"these tables inherit from the inventory, and nothing tells of their rows: {heirs}",
            f"ALTER TABLE {facts['heirs'][0]} NO INHERIT inventory;" if heirs else "",
        ),
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


def failure(error: Exception, help_: str = "") -> Finding:
    """Return what an error says: its first line, and what helps."""
    what, _, rest = str(error).strip().partition("\n")
    return Finding("fail", what, " ".join(rest.split()) or help_)


def _unless(problem: object, fine: str, otherwise: tuple[Literal["warn", "fail"], str, str]) -> Finding:
    return Finding(*otherwise) if problem else Finding("ok", fine)
