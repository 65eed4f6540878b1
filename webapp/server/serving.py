"""uvicorn, as this application needs it; the socket is ours, so that an error is told before anything is started."""

import asyncio
import errno
import logging.config
import multiprocessing
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import uvicorn
from uvicorn.supervisors import ChangeReload

from webapp.access.crowd import Crowd
from webapp.logs import configuration
from webapp.server.draining import DRAIN_LIMIT_S, DrainingServer
from webapp.server.intake import Intake
from webapp.server.workers import WORD_S, Supervisor
from webapp.settings import RESOURCES, Settings, SetupError, load_settings
from webapp.sockets.handoff import HandOffProtocol

FILES_BESIDES = 100  # what a process has open besides its connections: the database's, logs, modules
WEBSOCKETS: dict[str, Any] = {
    "ws": HandOffProtocol,
    "ws_max_size": 64 * 1024,  # browsers send a revision, nothing larger
    "ws_per_message_deflate": False,  # it would compress for each client alone
}
GOODBYE_SECONDS = 3


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any free one. Raises `SetupError` where that cannot be."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(address[:2], family=family, backlog=2048, dualstack_ipv6=both)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SetupError(
                f"Port {port} is in use already: stop what uses it, or take another: PORT={port + 1}"
            ) from error
        raise SetupError(f"Cannot listen on {host}, port {port}: {error.strerror}") from error


def intake(settings: Settings) -> Intake:
    """Return what bounds the connections; each is a file, and of those the system may allow fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = settings.max_connections + FILES_BESIDES
    files = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return Intake(files - FILES_BESIDES, Crowd(settings.max_connections_per_address, settings.trusted_proxies))


def run(
    listening: socket.socket, settings: Settings, notes: list[str], *, workers: int = 1, reload: bool = False
) -> None:
    """Serve until a signal ends it; the page's address and the notes are printed once it can be opened.

    Raises `SetupError` if several processes are wanted and one of the first cannot start.
    """
    say = partial(_say, [f"Live Inventory is on {page_url(listening)}{settings.root_path}", *notes])
    if reload:
        config = _config(settings, **_reload_options())
        ChangeReload(config, target=_Server(config, say).run, sockets=[listening]).run()
    elif workers > 1:
        logging.config.dictConfig(configuration(settings.log_format, settings.log_level))
        Supervisor(workers, _work, listening, leave_limit_s=DRAIN_LIMIT_S + 2 * GOODBYE_SECONDS).run(say)
    else:
        _Server(_config(settings), say).run(sockets=[listening])


def _config(settings: Settings, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        "webapp.main:app",
        **WEBSOCKETS,
        http=intake(settings),  # type: ignore[arg-type]  # it is called as a class would be
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=configuration(settings.log_format, settings.log_level),
        timeout_graceful_shutdown=GOODBYE_SECONDS,
        **options,
    )


class _Server(DrainingServer):
    """Tells when the page can be opened."""

    def __init__(self, config: uvicorn.Config, tell: Callable[[], object]) -> None:
        super().__init__(config)
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()


def _say(lines: list[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _work(listening: socket.socket, supervisor: Connection) -> None:
    """Be one of several processes; leave when the one that looks after them has died."""

    def join() -> None:
        loop = asyncio.get_running_loop()
        speak(loop)
        if parent := multiprocessing.parent_process():
            loop.add_reader(parent.sentinel, leave, loop, parent.sentinel)

    def speak(loop: asyncio.AbstractEventLoop) -> None:
        with suppress(OSError):
            supervisor.send_bytes(b"I serve")
        loop.call_later(WORD_S, speak, loop)

    def leave(loop: asyncio.AbstractEventLoop, sentinel: int) -> None:
        loop.remove_reader(sentinel)
        server.handle_exit(signal.SIGTERM, None)

    server = _Server(_config(load_settings()), join)
    server.run(sockets=[listening])


def _reload_options() -> dict[str, Any]:
    folders = [
        str(RESOURCES / name) for name in ("webapp", "templates", "static", "sql") if (RESOURCES / name).is_dir()
    ]
    return {"reload": True, "reload_dirs": folders, "reload_includes": ["*.html", "*.css", "*.sql", "*.svg"]}


def page_url(listening: socket.socket) -> str:
    """Return where a browser on this machine finds the page."""
    host, port, *_ = listening.getsockname()
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{port}"
