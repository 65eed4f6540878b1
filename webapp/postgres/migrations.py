"""Forward-only migrations: sql/migrations/NNNN_name.sql, applied in order, each once, all in one transaction."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.rows import TupleRow, tuple_row

from webapp.postgres.queries import SQL
from webapp.settings import SetupError
from webapp.text import first_line

Connection = psycopg.Connection[TupleRow]
LOCK = 0x11FE_0001  # names the advisory lock; any number that other programs do not use
OLDEST_SERVER = 150000
PATIENCE_MS = 60_000  # for the lock, while another process migrates
_MADE = re.compile(r"CREATE (?:OR REPLACE )?(?:UNLOGGED )?(?:TABLE|VIEW|FUNCTION) (?:IF NOT EXISTS )?public\.(\w+)")
_HISTORY = b"""
    CREATE TABLE IF NOT EXISTS public.inventory_migrations (
        name text PRIMARY KEY,
        checksum text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now())"""
_SETTINGS = b"""
    SELECT set_config('search_path', 'pg_catalog, pg_temp', TRUE),
           set_config('standard_conforming_strings', 'on', TRUE),
           set_config('lock_timeout', %s, TRUE)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name without the ending, its statements, and their SHA-256."""

    name: str
    statements: bytes

    @property
    def checksum(self) -> str:
        """SHA-256 of the statements, in hexadecimal."""
        return hashlib.sha256(self.statements).hexdigest()


def all_migrations() -> list[Migration]:
    """Return the migrations of this release, oldest first."""
    files = sorted((SQL / "migrations").glob("*.sql"))
    return [Migration(file.stem, file.read_text("utf-8").encode()) for file in files]  # as text: any line ends


def objects_made(migrations: Sequence[Migration]) -> list[str]:
    """Return the names of the tables, views and functions that migrations make in the schema public."""
    text = b"".join(migration.statements for migration in migrations).decode()
    return ["inventory_migrations", *dict.fromkeys(_MADE.findall(text))]


def migrate(conninfo: str) -> list[str]:
    """Bring the database to this release's schema; return the names of what was applied.

    Several processes may call it at once. Raises `SetupError` where an operator must act.
    """
    with preparing(conninfo) as connection:
        return apply(connection, all_migrations())


@contextmanager
def preparing(conninfo: str) -> Iterator[Connection]:
    """Open the transaction in which a database is made ready, one at a time. Raises `SetupError` and does nothing."""
    try:
        with psycopg.connect(
            conninfo, connect_timeout=10, client_encoding="utf8", prepare_threshold=None, row_factory=tuple_row
        ) as connection:
            _check_server(connection)
            connection.rollback()
            # What the role or the address sets otherwise must not reach what is made here.
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            connection.read_only = False
            connection.execute(_SETTINGS, [str(PATIENCE_MS)])
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            yield connection
    except psycopg.errors.InsufficientPrivilege as error:
        raise SetupError(_privilege_help(error, conninfo)) from error
    except psycopg.errors.LockNotAvailable as error:
        raise SetupError(
            f"The database is locked by another program: {_reason(error)}\n"
            "pg_stat_activity shows which; end it, or start again when it is done."
        ) from error
    except psycopg.OperationalError as error:
        raise SetupError(f"The database cannot be used: {_reason(error)}\n{_connection_help(error)}") from error
    except psycopg.Error as error:
        hint = error.diag.message_hint or "Nothing was changed."
        raise SetupError(f"The database could not be prepared: {_reason(error)}\n{hint}") from error


def _check_server(connection: Connection) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        major = connection.info.server_version // 10000
        raise SetupError(f"PostgreSQL {major} is too old: version 15 or later is needed.")
    if _setting(connection, "in_hot_standby") == "on":
        raise SetupError("DATABASE_URL leads to a standby, which cannot be written to: name the primary.")
    encoding = _setting(connection, "server_encoding")
    if encoding != "UTF8":
        raise SetupError(
            f"The database's encoding is {encoding}, but names may be in any script: UTF8 is needed.\n"
            "This line makes one: CREATE DATABASE inventory ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0;"
        )


def _setting(connection: Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
    return str(row[0]) if row else ""


def apply(connection: Connection, known: Sequence[Migration]) -> list[str]:
    """Apply those of the known migrations that are missing; return their names. Raises `SetupError`."""
    applied = applied_migrations(connection)
    check_history(applied, known)
    missing = [migration for migration in known if migration.name not in applied]
    if missing and not applied:
        _check_foreign_table(connection)
        connection.execute(_HISTORY)
    for migration in missing:
        connection.execute(migration.statements)
        connection.execute(
            "INSERT INTO public.inventory_migrations (name, checksum) VALUES (%s, %s)",
            [migration.name, migration.checksum],
        )
    return [migration.name for migration in missing]


def applied_migrations(connection: Connection) -> dict[str, str]:
    """Return the names of the migrations that the database has had, and their checksums."""
    found = connection.execute("SELECT to_regclass('public.inventory_migrations')::text").fetchone()
    if found is None or found[0] is None:
        return {}
    rows = connection.execute("SELECT name, checksum FROM public.inventory_migrations").fetchall()
    return dict(rows)


def check_history(applied: Mapping[str, str], known: Sequence[Migration]) -> None:
    """Raise `SetupError` if some of what was applied is not known, or is known otherwise."""
    checksums = {migration.name: migration.checksum for migration in known}
    if newer := sorted(applied.keys() - checksums.keys()):
        raise SetupError(
            f"The database's schema is newer than this release: it has {', '.join(newer)}.\n"
            "Start the release that made it, or a later one."
        )
    if changed := sorted(name for name, checksum in applied.items() if checksums[name] != checksum):
        raise SetupError(
            f"These migrations were changed after they had been applied: {', '.join(changed)}.\n"
            "Put the files back as they were released; a change of the schema is a new migration."
        )


def _check_foreign_table(connection: Connection) -> None:
    tables = connection.execute(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relname IN ('inventory', 'inventory_changes', 'inventory_epoch', 'inventory_migrations')"
    ).fetchall()
    if tables:
        raise SetupError(
            f"The database has a table of another program called {tables[0][0]}.\n"
            "Give Live Inventory a database of its own: CREATE DATABASE inventory_live;"
        )


def _privilege_help(error: psycopg.Error, conninfo: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    role = parts.get("user") or "the_role_of_DATABASE_URL"
    problem = f"The database's role may not do what is needed: {_reason(error)}\n"
    if "schema" not in _reason(error).lower():
        return problem + "Start Live Inventory as the role that made its tables: they belong to it."
    return (
        f"{problem}Since PostgreSQL 15 GRANT ALL ON DATABASE does not include this right. As the database's owner, in"
        f' that database: GRANT USAGE, CREATE ON SCHEMA public TO "{role}";'
    )


def _connection_help(error: psycopg.Error) -> str:
    text = str(error)
    if "password" in text or "authentication" in text:
        return "Check the user and the password in DATABASE_URL."
    if "does not exist" in text:
        return "Create it first (CREATE DATABASE ...; CREATE USER ...;), or mend its name in DATABASE_URL."
    return "Check DATABASE_URL and that the server runs: psql \"$DATABASE_URL\" -c 'SELECT 1'"


def _reason(error: psycopg.Error) -> str:
    return error.diag.message_primary or first_line(error)
