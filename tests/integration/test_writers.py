"""A writer never fails because of log and feed, whatever its rights and settings; and nobody can forge history."""

import secrets
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from tests.factories import make_item
from webapp.postgres.migrations import migrate


@pytest.fixture
def role(database: psycopg.Connection) -> Iterator[str]:
    """The name of a role that may connect and nothing else."""
    name = f"writer_{secrets.token_hex(4)}"
    quoted = sql.Identifier(name)
    database.execute(sql.SQL("CREATE ROLE {}").format(quoted))
    yield name
    database.execute("RESET SESSION AUTHORIZATION")
    database.execute(sql.SQL("DROP OWNED BY {}").format(quoted))
    database.execute(sql.SQL("DROP ROLE {}").format(quoted))


def become(database: psycopg.Connection, role: str, *privileges: str) -> None:
    for privilege in privileges:
        database.execute(sql.SQL(privilege + " TO {}").format(sql.Identifier(role)))
    database.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(role)))


def write_everything(database: psycopg.Connection) -> None:
    database.execute("INSERT INTO public.inventory (name, quantity) VALUES ('Äpfel', 1), ('b', 2)")
    database.execute("UPDATE public.inventory SET quantity = quantity + 1")
    database.execute("DELETE FROM public.inventory WHERE name LIKE 'b'")
    database.execute("TRUNCATE public.inventory")


def operations(database: psycopg.Connection) -> list[str]:
    return [row[0] for row in database.execute("SELECT operation FROM inventory_changes ORDER BY id")]


EVERYTHING = ["insert", "insert", "update", "update", "delete", "truncate"]


def test_a_role_that_may_only_write_the_inventory_can(database: psycopg.Connection, role: str) -> None:
    database.execute("LISTEN messages_channel")
    become(database, role, "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON inventory")
    write_everything(database)
    assert len(list(database.notifies(timeout=0))) == len(EVERYTHING)
    for table in ("inventory_changes", "inventory_epoch"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
    database.execute("RESET SESSION AUTHORIZATION")
    assert operations(database) == EVERYTHING
    names = database.execute("SELECT DISTINCT session_role FROM inventory_changes").fetchall()
    assert names == [(role,)]


def test_a_role_can_write_where_default_privileges_are_narrow(role: str, empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as narrow:
        narrow.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
        migrate(empty_database)
        become(narrow, role, "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON inventory")
        write_everything(narrow)


def test_nobody_can_forge_history_with_the_trigger_functions(database: psycopg.Connection, role: str) -> None:
    become(database, role, "GRANT ALL ON inventory", "GRANT CREATE ON SCHEMA public")
    database.execute("CREATE TABLE mine (LIKE inventory)")
    found = database.execute(
        "SELECT oid::regprocedure::text FROM pg_proc"
        " WHERE proname LIKE 'inventory%' AND prorettype = 'trigger'::regtype"
    ).fetchall()
    assert len(found) == 7
    for (function,) in found:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute(f"CREATE TRIGGER t AFTER INSERT ON mine EXECUTE FUNCTION {function}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute("SELECT public.inventory_settle_epoch()")


OPERATORS = [
    *((name, "bigint") for name in ("=", "<>", "<", "<=", ">")),
    *((name, "integer") for name in ("=", ">")),
    ("=", "text"),
    (">", "double precision"),
    *((name, "record") for name in ("*=", "*<>")),
]


def test_functions_of_others_never_run_in_the_owners_name(database: psycopg.Connection, role: str) -> None:
    become(
        database,
        role,
        "GRANT ALL ON inventory",
        "GRANT CREATE ON SCHEMA public",
        "GRANT TEMPORARY ON DATABASE " + database.info.dbname,
    )
    for name, arguments, result in [
        ("pg_notify", "text, text", "void"),
        ("octet_length", "text", "integer"),
        ("substr", "text, integer", "text"),
        ("to_json", "text", "json"),
        ("jsonb_build_object", "text, text, text, bigint, text, text", "jsonb"),
        ("clock_timestamp", "", "timestamptz"),
        ("inventory_fold", "character varying", "text"),
    ]:
        for schema in ("public", "pg_temp"):
            database.execute(
                f"CREATE FUNCTION {schema}.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE 'trapped'; END $$".encode()
            )
    for name, kind in OPERATORS:
        database.execute(
            f"CREATE FUNCTION public.trap(a {kind}, b {kind}) RETURNS boolean LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE 'trapped'; END $$;"
            f"CREATE OPERATOR public.{name} (LEFTARG = {kind}, RIGHTARG = {kind}, FUNCTION = public.trap);"
            f"ALTER FUNCTION public.trap({kind}, {kind}) RENAME TO trap_{secrets.token_hex(4)}".encode()
        )
    database.execute("CREATE TEMPORARY TABLE inventory_changes (id bigint)")
    database.execute("CREATE TEMPORARY TABLE new_rows (id bigint)")
    database.execute("SET search_path = pg_temp, public, pg_catalog")
    write_everything(database)
    with pytest.raises(psycopg.errors.CheckViolation, match="inventory_unit_length"):
        database.execute("INSERT INTO public.inventory (name, quantity, unit) VALUES ('c', 1, repeat('x', 41))")
    database.execute("RESET SESSION AUTHORIZATION")
    database.execute("RESET search_path")
    found = database.execute("SELECT operation FROM public.inventory_changes ORDER BY id").fetchall()
    assert [row[0] for row in found] == EVERYTHING


SETTINGS = [
    "search_path = ''",
    "standard_conforming_strings = off",
    "DateStyle = 'SQL, DMY'",
    "TimeZone = 'Pacific/Chatham'",
    "client_encoding = 'LATIN1'",
    "row_security = off",
    "default_transaction_isolation = serializable",
    "plan_cache_mode = force_custom_plan",
    "transform_null_equals = on",
    "statement_timeout = '30s'",
]


def test_a_writer_may_have_any_setting(database: psycopg.Connection) -> None:
    database.execute("ALTER TABLE inventory ENABLE ROW LEVEL SECURITY")
    database.execute("ALTER TABLE inventory_changes ENABLE ROW LEVEL SECURITY")
    for setting in SETTINGS:
        database.execute(f"SET {setting}".encode())
        write_everything(database)
        database.execute("RESET ALL")
    assert operations(database) == EVERYTHING * len(SETTINGS)


def test_serializable_writers_of_different_items_do_not_stand_in_each_others_way(
    database_url: str, database: psycopg.Connection
) -> None:
    ids = [make_item(database), make_item(database)]
    with closing(psycopg.connect(database_url)) as one, closing(psycopg.connect(database_url)) as other:
        for connection in (one, other):
            connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            connection.execute("SET enable_seqscan = off")  # who reads a whole table depends on all of its rows
            connection.commit()
        for _ in range(3):
            for connection, item_id in zip((one, other), ids, strict=True):
                connection.execute("UPDATE inventory SET quantity = quantity + 1 WHERE id = %s", [item_id])
        one.commit()
        other.commit()
    assert database.execute("SELECT quantity FROM inventory").fetchall() == [(13,), (13,)]


def test_a_session_that_changed_one_row_can_change_many(database: psycopg.Connection) -> None:
    """The log's plan is kept for the session; as a nested loop it would take minutes here."""
    database.execute(
        "INSERT INTO inventory (name, quantity) SELECT 'item ' || n, n FROM generate_series(1, 10000) AS n"
    )
    for _ in range(10):
        database.execute("UPDATE inventory SET quantity = quantity + 1 WHERE id = 1")
    database.execute("SET statement_timeout = '10s'")
    database.execute("UPDATE inventory SET quantity = quantity + 1")
    assert len(operations(database)) == 20_010


def test_nothing_is_parsed_anew_for_each_statement(database: psycopg.Connection) -> None:
    """As PostgreSQL does with the text of each CHECK constraint and WHEN, whatever the statement changes."""
    parsed = database.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'inventory'::regclass AND contype = 'c'"
        " UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = 'inventory'::regclass AND tgqual IS NOT NULL"
        " UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = 'inventory_changes'::regclass"
    ).fetchall()
    assert parsed == []


def test_new_quantities_of_all_items_touch_no_index(database: psycopg.Connection) -> None:
    database.execute(
        "INSERT INTO inventory (name, quantity, location, code)"
        " SELECT 'item ' || n, n, 'shelf ' || n % 10, 'C-' || n FROM generate_series(1, 1000) AS n"
    )
    with database.transaction():
        updated = database.execute("UPDATE inventory SET quantity = quantity + 1").rowcount
        hot = database.execute("SELECT pg_stat_get_xact_tuples_hot_updated('inventory'::regclass)").fetchone()
    assert hot == (updated,) == (1000,)
