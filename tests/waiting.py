"""Waiting for conditions, never for seconds."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], within_s: float = 10) -> None:
    """Return as soon as the condition is true; fail if it never is."""
    ends_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends_at, "what was waited for did not happen"
        time.sleep(0.005)
