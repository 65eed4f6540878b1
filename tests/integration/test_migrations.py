"""Bringing a database to this release's schema: by many at once, by a mere owner, and refusing what is not ours."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.factories import make_item
from webapp.postgres import migrations
from webapp.postgres.migrations import Migration, all_migrations, migrate
from webapp.settings import SetupError

TRIGRAMS = "SELECT to_regclass('inventory_searchable_trigrams') IS NOT NULL"
NAMES = [migration.name for migration in all_migrations()]


@pytest.fixture
def empty_url(admin_url: str) -> Iterator[str]:
    """Address of an empty database."""
    yield from _new_database(admin_url, "ENCODING 'UTF8'")


def _new_database(admin_url: str, options: str) -> Iterator[str]:
    name = f"empty_{secrets.token_hex(4)}"
    with psycopg.connect(admin_url, autocommit=True) as connection:
        create = f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy {options}"
        connection.execute(create.encode())
        yield make_conninfo(admin_url, dbname=name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def owner_url(empty_url: str) -> Iterator[str]:
    """Address of an empty database for a role that can log in and nothing else."""
    name = f"owner_{secrets.token_hex(4)}"
    role = sql.Identifier(name)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(role))
        yield make_conninfo(empty_url, user=name, password="secret")
        connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(role))
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_a_second_start_finds_nothing_to_do(empty_url: str) -> None:
    assert migrate(empty_url) == NAMES
    assert migrate(empty_url) == []
    assert run(empty_url, "SELECT name FROM inventory_migrations ORDER BY name") == [(name,) for name in NAMES]


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    script = "import sys; from webapp.postgres.migrations import migrate; print(len(migrate(sys.argv[1])))"
    command = [sys.executable, "-c", script, empty_url]
    root = Path(__file__).parents[2]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(4)]
    applied = [process.communicate(timeout=60)[0].strip() for process in started]
    assert sorted(applied) == ["0", "0", "0", str(len(NAMES))]


def test_one_that_waited_for_another_sees_its_work_at_any_isolation(empty_url: str) -> None:
    run(empty_url, f"ALTER DATABASE {_database(empty_url)} SET default_transaction_isolation = 'serializable'")
    run(empty_url, f"ALTER DATABASE {_database(empty_url)} SET default_transaction_read_only = on")
    test_processes_that_start_together_migrate_once(empty_url)


def test_a_role_that_owns_its_database_is_enough(empty_url: str, owner_url: str) -> None:
    run(empty_url, f"ALTER DATABASE {_database(empty_url)} OWNER TO {_user(owner_url)}")
    assert migrate(owner_url) == NAMES
    with psycopg.connect(owner_url, autocommit=True) as connection:
        make_item(connection)
        assert connection.execute("SELECT inventory_settle_epoch()").fetchone() == (True,)
        assert connection.execute("SELECT count(*) FROM inventory_changes").fetchone() == (1,)


def test_a_role_that_may_not_create_is_told_the_line_that_helps(empty_url: str, owner_url: str) -> None:
    run(empty_url, f"GRANT ALL ON DATABASE {_database(empty_url)} TO {_user(owner_url)}")
    with pytest.raises(SetupError, match="permission denied for schema public") as refusal:
        migrate(owner_url)
    line = str(refusal.value).partition("in that database: ")[2]
    assert line == f'GRANT USAGE, CREATE ON SCHEMA public TO "{_user(owner_url)}";'
    run(empty_url, line)
    assert migrate(owner_url) == NAMES


def test_a_role_that_does_not_own_the_tables_is_told_so(empty_url: str, owner_url: str) -> None:
    migrate(empty_url)
    with pytest.raises(SetupError, match="as the role that made its tables"):
        migrate(owner_url)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_is_not_utf8_is_refused(admin_url: str, encoding: str) -> None:
    databases = _new_database(admin_url, f"ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'")
    for url in databases:
        with pytest.raises(SetupError, match=f"encoding is {encoding}.*\n.*ENCODING 'UTF8'"):
            migrate(url)
        assert run(url, "SELECT count(*) FROM pg_class WHERE relname LIKE 'inventory%'") == [(0,)]


@pytest.mark.parametrize("table", ["inventory", "inventory_changes"])
def test_a_table_of_another_program_is_left_alone(empty_url: str, table: str) -> None:
    run(empty_url, f"CREATE TABLE {table} (name text, quantity int)")
    with pytest.raises(SetupError, match=f"table of another program called {table}"):
        migrate(empty_url)
    assert run(empty_url, "SELECT relname::text FROM pg_class WHERE relname LIKE 'inventory%'") == [(table,)]


def test_a_newer_schema_is_refused(empty_url: str) -> None:
    migrate(empty_url)
    run(empty_url, "INSERT INTO inventory_migrations VALUES ('0099_future', 'x')")
    with pytest.raises(SetupError, match="newer than this release: it has 0099_future"):
        migrate(empty_url)


def test_a_migration_that_was_changed_afterwards_is_refused(empty_url: str) -> None:
    migrate(empty_url)
    run(empty_url, "UPDATE inventory_migrations SET checksum = 'other' WHERE name = '0001_inventory'")
    with pytest.raises(SetupError, match="changed after they had been applied: 0001_inventory"):
        migrate(empty_url)


def test_a_migration_that_fails_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [*all_migrations(), Migration("0003_broken", b"CREATE TABLE public.half (id int); SELECT 1 / 0")]
    monkeypatch.setattr(migrations, "all_migrations", lambda: broken)
    with pytest.raises(SetupError, match="could not be prepared: division by zero\nNothing was changed"):
        migrate(empty_url)
    assert run(empty_url, "SELECT relname FROM pg_class WHERE relname LIKE 'inventory%' OR relname = 'half'") == []


def test_a_lock_that_is_never_let_go_is_told(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "PATIENCE_MS", 50)
    with psycopg.connect(empty_url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [migrations.LOCK])
        with pytest.raises(SetupError, match="locked by another program"):
            migrate(empty_url)


@pytest.mark.parametrize(
    ("change", "help_line"),
    [({"port": 1}, "Check DATABASE_URL and that the server runs"), ({"dbname": "no_such"}, "Create it first")],
)
def test_a_wrong_address_is_told(empty_url: str, change: dict[str, str | int], help_line: str) -> None:
    with pytest.raises(SetupError, match=help_line):
        migrate(make_conninfo(empty_url, **change))


def test_a_role_that_may_not_create_extensions_does_without_the_index_that_needs_one(
    empty_url: str, owner_url: str
) -> None:
    run(empty_url, f'GRANT USAGE, CREATE ON SCHEMA public TO "{_user(owner_url)}"')
    assert migrate(owner_url) == NAMES
    assert run(owner_url, TRIGRAMS) == [(False,)]
    migrated = run(owner_url, "INSERT INTO inventory (name, quantity) VALUES ('apples', 1) RETURNING name")
    assert migrated == [("apples",)]


def test_an_extension_that_lies_elsewhere_is_found(empty_url: str) -> None:
    run(empty_url, "CREATE SCHEMA extensions; CREATE EXTENSION pg_trgm SCHEMA extensions")
    migrate(empty_url)
    assert run(empty_url, TRIGRAMS) == [(True,)]


def test_indexes_that_were_made_before_are_left_as_they_are(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "all_migrations", lambda: all_migrations()[: NAMES.index("0019_covering_indexes")])
    migrate(empty_url)
    folded = '((inventory_fold({})) COLLATE "C"{})'
    run(
        empty_url,
        f"CREATE UNIQUE INDEX inventory_name_covering ON inventory {folded.format('name', '')} INCLUDE (name, id)",
    )
    run(
        empty_url,
        f"CREATE INDEX inventory_location ON inventory {folded.format('location', ', location, id')} INCLUDE (name)",
    )
    made = run(empty_url, "SELECT 'inventory_name_covering'::regclass::oid, 'inventory_location'::regclass::oid")
    monkeypatch.undo()
    migrate(empty_url)
    assert run(empty_url, "SELECT 'inventory_name_unique'::regclass::oid, 'inventory_location'::regclass::oid") == made


def test_folding_faster_changes_no_result(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "all_migrations", lambda: all_migrations()[: NAMES.index("0006_views")])
    migrate(empty_url)
    texts = [
        *map(chr, range(1, 0x250)),
        " \t\n\v\f\rA b\x1c ",
        " İI\u0307 ",
        "ΟΔΥΣΣΕΥΣ",
        "e\u0301",
        "\u00a0x\ufeff",
        "",
        " ",
    ]
    folded = "SELECT inventory_fold(text) FROM unnest(%s::text[]) WITH ORDINALITY AS t (text, n) ORDER BY n"
    with psycopg.connect(empty_url, autocommit=True) as connection:
        before = connection.execute(folded, [texts]).fetchall()
        monkeypatch.undo()
        migrate(empty_url)
        assert connection.execute(folded, [texts]).fetchall() == before
        assert connection.execute("SELECT inventory_fold(NULL)").fetchone() == (None,)


def test_line_ends_of_a_checkout_do_not_change_a_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checksums = [migration.checksum for migration in all_migrations()]
    (tmp_path / "migrations").mkdir()
    for migration in all_migrations():
        windows = migration.statements.replace(b"\n", b"\r\n")
        (tmp_path / "migrations" / f"{migration.name}.sql").write_bytes(windows)
    monkeypatch.setattr(migrations, "SQL", tmp_path)
    assert [migration.checksum for migration in all_migrations()] == checksums


def _database(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])


def _user(url: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(url)["user"])
