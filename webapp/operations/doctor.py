"""Looks for what is wrong with a deployment, or soon may be; it changes nothing."""

import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import psycopg

from webapp.operations.examination import GIB, Finding, examine_database, failure
from webapp.postgres.database import Database, locate
from webapp.postgres.embedded import EmbeddedServer, default_data_dir
from webapp.postgres.hearing import check_hearing
from webapp.server.serving import listen
from webapp.settings import Settings, SetupError

LOW_DISK, FULL_DISK = GIB, GIB // 10


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything that can be looked at."""
    yield from _examine_settings(settings)
    yield _examine_port(settings)
    if settings.database_url is None and not (EmbeddedServer(default_data_dir(settings)).data_dir / "cluster").exists():
        yield Finding("ok", "no embedded database yet: the first start makes it")
        return
    try:
        database = locate(settings)
        with psycopg.connect(
            database.url, autocommit=True, connect_timeout=5, client_encoding="utf8", prepare_threshold=None
        ) as connection:
            connection.read_only = True
            yield Finding("ok", "the database answers")
            yield from examine_database(connection, settings)
    except (SetupError, psycopg.OperationalError) as error:
        yield failure(error, "Check DATABASE_URL, and that the server runs.")
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
    if settings.trusted_user_header:
        proxies = ", ".join(settings.trusted_proxies)
        what = f"whoever {proxies} names in {settings.trusted_user_header} is signed in"
        yield Finding("warn", what, "Make sure that the proxy sets or removes that header on each request.")
    if settings.allowed_hosts and not settings.trusted_proxies:
        what = "TRUSTED_PROXIES is not set: behind a proxy, all visitors look like one address"
        yield Finding("warn", what, "If there is a proxy, set TRUSTED_PROXIES to its address, such as 127.0.0.1.")


def _examine_port(settings: Settings) -> Finding:
    try:
        listen(settings.host, settings.port).close()
    except SetupError as error:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{settings.port}/healthz", timeout=1):
            return Finding("ok", f"port {settings.port} is in use, apparently by this program")
        return failure(error, "Stop what uses it, or set PORT to another.")
    return Finding("ok", f"port {settings.port} is free")


def _examine_hearing(database: Database) -> Finding:
    try:
        check_hearing(database.url, database.listen_url)
    except SetupError as error:
        return failure(error)
    return Finding("ok", "notifications are heard")


def _examine_disk(server: EmbeddedServer) -> Finding:
    free = shutil.disk_usage(server.data_dir).free
    what = f"{free / GIB:.1f} GiB are free where the embedded database is"
    if free < LOW_DISK:
        help_ = "Make room there, or move it: backup, set DATA_DIR, restore."
        return Finding("fail" if free < FULL_DISK else "warn", what, help_)
    return Finding("ok", what)
