"""What lies between the application and its database, so that a test can break it: the network."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Network:
    """Forwards connections to a server. `stall` keeps all bytes back; `cut` ends all connections and admits none."""

    def __init__(self, listening: socket.socket, host: str, port: str) -> None:
        self._listening = listening
        self._host, self._port = host, port
        self._flows = threading.Event()
        self._admits = True
        self._sockets: set[socket.socket] = set()
        self.mend()

    def mend(self) -> None:
        """Let everything pass, also what was kept back."""
        self._admits = True
        self._flows.set()

    def stall(self) -> None:
        """Take bytes and confirm them, and never forward any."""
        self._flows.clear()

    def cut(self) -> None:
        """End all connections, and end new ones at once."""
        self._admits = False
        for each in list(self._sockets):
            _end(each)

    def serve(self) -> None:
        """Accept connections until the listening socket is shut down."""
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def close(self) -> None:
        """End everything."""
        _end(self._listening)
        self.cut()
        self._flows.set()

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, int(self._port)))
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(f"{self._host}/.s.PGSQL.{self._port}")
        except OSError:
            server.close()
            raise
        return server

    def _relay(self, client: socket.socket) -> None:
        with client, suppress(OSError), self._connect() as server:
            pair = {client, server}
            self._sockets |= pair
            if self._admits:
                back = threading.Thread(target=self._forward, args=(server, client), daemon=True)
                back.start()
                self._forward(client, server)
                back.join()
            self._sockets -= pair

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        _end(sink)


def _end(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


@contextmanager
def network_to(host: str, port: str) -> Iterator[tuple[int, Network]]:
    """Give a port that leads to a server through a network of the test's own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        network = Network(listening, host, port)
        threading.Thread(target=network.serve, daemon=True).start()
        try:
            yield int(listening.getsockname()[1]), network
        finally:
            network.close()


@contextmanager
def network_before(database_url: str) -> Iterator[tuple[str, Network]]:
    """Give an address of the database that leads through a network of the test's own."""
    parts = conninfo_to_dict(database_url)
    with network_to(str(parts["host"]), str(parts.get("port", 5432))) as (port, network):
        yield make_conninfo(database_url, host="127.0.0.1", port=port), network
