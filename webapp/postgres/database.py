"""Where the database is: its addresses, and behind them a server that runs and a schema that is up to date."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from webapp.postgres.embedded import EmbeddedServer, default_data_dir
from webapp.postgres.migrations import migrate
from webapp.settings import Settings, SetupError

# A frozen network must not freeze a request: the kernel gives up on unanswered bytes, the server on idle peers.
_OPTIONS = {"connect_timeout": 5, "tcp_user_timeout": 5000, "keepalives_idle": 5, "keepalives_interval": 2}


@dataclass(frozen=True, slots=True)
class Database:
    """Where a migrated database is: for queries, and for LISTEN (the same unless a pooler stands between)."""

    url: str
    listen_url: str
    server: EmbeddedServer | None = None
    """The embedded one, if that is where it is."""


@cache
def prepare(settings: Settings) -> Database:
    """Start the embedded server if no DATABASE_URL is set, and bring the schema up to date.

    Raises `SetupError` where an operator must act.
    """
    database = locate(settings)
    migrate(database.url)
    return database


@cache
def locate(settings: Settings) -> Database:
    """Start the embedded server if no DATABASE_URL is set, and leave the schema as it is. Raises `SetupError`."""
    server = None if settings.database_url else _start_embedded(settings)
    url = server.url if server else str(settings.database_url)
    listen_url = settings.listen_database_url or url
    for conninfo in (url, listen_url):
        parameters_of(conninfo)
    return Database(url, listen_url, server)


def _start_embedded(settings: Settings) -> EmbeddedServer:
    server = EmbeddedServer(default_data_dir(settings))
    server.guard()
    server.start()
    return server


def parameters_of(conninfo: str) -> dict[str, Any]:
    """Read an address. Raises `SetupError`, which does not quote it: psycopg's error may be about the password."""
    try:
        return dict(conninfo_to_dict(conninfo))
    except psycopg.ProgrammingError:
        raise SetupError(
            "DATABASE_URL cannot be read; it looks like postgresql://user:password@host:5432/database\n"
            "In a user's name and password, % is written as %25, @ as %40, : as %3A, / as %2F, and a space as %20."
        ) from None


def dedicated_conninfo(url: str, name: str) -> str:
    """Return connection parameters with our time limits, and the application name that the log shows."""
    # Another encoding, which the role or the environment may prefer, cannot write every name.
    return make_conninfo(url, application_name=name, client_encoding="UTF8", **_OPTIONS)
