"""A process that cannot start; alone in its module, which that process has to load."""

import sys


def serve(listening: object, supervisor: object) -> None:
    sys.exit(3)
