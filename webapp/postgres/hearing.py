"""Whether notifications arrive: tried at the start, by notifying oneself, since a deaf listener fails at nothing."""

import secrets

import psycopg

from webapp.settings import SetupError
from webapp.text import first_line

_MEND = "Set LISTEN_DATABASE_URL to the address of the PostgreSQL server itself, the primary."


def check_hearing(url: str, listen_url: str, *, patience_s: float = 5.0) -> None:
    """Raise `SetupError` if what is notified by way of `url` is not heard by way of `listen_url`.

    A pooler by transaction lets LISTEN succeed, on a connection that then serves somebody else; and the two may lead to
    different databases.
    """
    channel = f"live_inventory_{secrets.token_hex(8)}"  # not the one that is shown
    try:
        with _connect(listen_url) as ear, _connect(url) as mouth:
            ear.execute(f"LISTEN {channel}".encode())
            mouth.execute(f"NOTIFY {channel}".encode())
            is_heard = any(ear.notifies(timeout=patience_s, stop_after=1))
            ear.execute(f"UNLISTEN {channel}".encode())  # a pooler keeps the connection
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise SetupError(f"LISTEN does not work on a standby.\n{_MEND}") from error
    except psycopg.errors.ProgramLimitExceeded:
        return  # the queue of notifications is full, and that passes
    except psycopg.OperationalError as error:
        raise SetupError(f"The database's notifications cannot be heard: {first_line(error)}\n{_MEND}") from error
    if not is_heard:
        raise SetupError(
            "Notifications of the database do not arrive: a pooler by transaction stands before it, or"
            f" LISTEN_DATABASE_URL leads to another database than DATABASE_URL.\n{_MEND}"
        )


def _connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, connect_timeout=5, prepare_threshold=None)
