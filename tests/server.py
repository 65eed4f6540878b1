"""The application on a real socket: in a thread of the test's process, so that tests can count what it does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI

from tests.waiting import eventually
from webapp.main import create_app
from webapp.settings import Settings


class LiveServer:
    """A server that accepts connections; `stop` ends it as a restart does."""

    def __init__(self, app: FastAPI, listening: socket.socket) -> None:
        self.app = app
        self.port: int = listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.socket_url = f"ws://127.0.0.1:{self.port}"
        config = uvicorn.Config(app, log_level="warning", ws_per_message_deflate=False, timeout_graceful_shutdown=2)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)

    def start(self) -> None:
        """Return when the application has started."""
        self._thread.start()
        eventually(lambda: self._server.started or not self._thread.is_alive())
        assert self._server.started, "the application did not start"

    def stop(self) -> None:
        """Close all connections and end."""
        self._server.should_exit = True
        self._thread.join(10)
        assert not self._thread.is_alive()


@contextmanager
def serve(database_url: str, port: int = 0, **settings: Any) -> Iterator[LiveServer]:
    """Serve a database while the context lasts."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        server = LiveServer(create_app(Settings(database_url=database_url, **settings)), listening)
        server.start()
        try:
            yield server
        finally:
            server.stop()
