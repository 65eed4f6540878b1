"""Processes that fail; alone in their module, which they have to load."""

import os
import sys
import time
from multiprocessing.connection import Connection


def to_start(listening: object, supervisor: Connection) -> None:
    sys.exit(3)


def to_go_on(listening: object, supervisor: Connection) -> None:
    supervisor.send_bytes(b"I serve")
    time.sleep(60)


def to_renew(listening: object, supervisor: Connection) -> None:
    if os.environ.get("UNABLE"):
        sys.exit(3)
    to_go_on(listening, supervisor)
