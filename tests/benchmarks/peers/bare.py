"""No server, but the floor under all of them: a system call for each socket, in a loop of Python: `bare.py PORT`."""

import socket
import sys
import threading

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

sockets: list[socket.socket] = []


def join(listening: socket.socket) -> None:
    """Greet whoever comes, and read nothing more."""
    while True:
        connected, _ = listening.accept()
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = ServerProtocol()
        protocol.receive_data(connected.recv(65_536))
        request = next(iter(protocol.events_received()), None)
        if isinstance(request, Request):
            protocol.send_response(protocol.accept(request))
            connected.sendall(b"".join(protocol.data_to_send()))
            sockets.append(connected)


def main(port: int) -> None:
    """Send each line to everybody."""
    listening = socket.create_server(("127.0.0.1", port), backlog=2_048)
    threading.Thread(target=join, args=(listening,), daemon=True).start()
    for line in sys.stdin:
        frame = Frame(Opcode.TEXT, line.rstrip("\n").encode()).serialize(mask=False)
        for connected in list(sockets):
            try:
                connected.send(frame)
            except OSError:
                sockets.remove(connected)


if __name__ == "__main__":
    main(int(sys.argv[1]))
