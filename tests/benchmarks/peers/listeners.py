"""Connections that LISTEN and read at once whatever comes, as cheaply as can be: `listeners.py URL NUMBER`."""

import selectors
import sys

import psycopg


def main(url: str, number: int) -> None:
    """Listen until the input ends; "ready" says that all do."""
    waiting = selectors.DefaultSelector()
    for _ in range(number):
        connection = psycopg.connect(url, autocommit=True)
        connection.execute("LISTEN messages_channel")
        waiting.register(connection.fileno(), selectors.EVENT_READ, connection)
    waiting.register(sys.stdin, selectors.EVENT_READ, None)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for key, _ in waiting.select():
            if key.data is None:
                return
            drain(key.data)


def drain(connection: psycopg.Connection) -> None:
    """Read all that has come and forget it."""
    connection.pgconn.consume_input()
    while connection.pgconn.notifies():
        pass


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
