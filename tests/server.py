"""The application on a real socket: in a thread of the test's process, so that tests can count what it does."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from tests.waiting import eventually
from webapp.main import create_app
from webapp.server.draining import DrainingServer
from webapp.server.serving import WEBSOCKETS, intake
from webapp.settings import Settings


class LiveServer:
    """A server that accepts connections; `stop` ends it as a restart does."""

    def __init__(self, app: FastAPI, listening: socket.socket, *, hand_off: bool = True, **options: Any) -> None:
        self.app = app
        self.port: int = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket_url = f"ws://127.0.0.1:{self.port}"
        options = WEBSOCKETS | ({} if hand_off else {"ws": "websockets-sansio"}) | options
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2, proxy_headers=False, **options)
        self._server = DrainingServer(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)

    def start(self) -> None:
        """Return when the application has started."""
        self._thread.start()
        eventually(lambda: self._server.started or not self._thread.is_alive())
        assert self._server.started, "the application did not start"

    @property
    def connections(self) -> list[Any]:
        """The protocol objects of all connections."""
        return list(self._server.server_state.connections)

    def drain(self) -> None:
        """Begin to leave as a server does that is terminated."""
        self._server.handle_exit(signal.SIGTERM, None)

    def stop(self) -> None:
        """Close all connections and end."""
        self._server.is_hurried = True
        self.drain()
        self._thread.join(10)
        assert not self._thread.is_alive()


@contextmanager
def serve(database_url: str | None, port: int = 0, *, hand_off: bool = True, **settings: Any) -> Iterator[LiveServer]:
    """Serve a database (None: the embedded one) while the context lasts; without `hand_off` as any ASGI server does."""
    configured = Settings(database_url=database_url, **settings)
    with socket.create_server(("127.0.0.1", port)) as listening:
        server = LiveServer(create_app(configured), listening, hand_off=hand_off, http=intake(configured))
        server.start()
        try:
            yield server
        finally:
            server.stop()
