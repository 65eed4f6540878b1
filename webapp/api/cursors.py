"""Opaque cursors: a few values as text that an address can hold, for us to read again and for nobody else."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from webapp.problems import Problem, of_kind


def write_cursor(*values: Any) -> str:
    """Return the values as a cursor."""
    packed = json.dumps(values, separators=(",", ":")).encode()
    return urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(cursor: str, size: int) -> list[Any]:
    """Return the values of a cursor. Raises a `Problem` for one that no `write_cursor` has made."""
    try:
        values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError) as error:
        raise unusable("This is no cursor of ours.") from error
    if not isinstance(values, list) or len(values) != size:
        raise unusable("This is no cursor of ours.")
    return values


def unusable(why: str) -> Problem:
    """Say that nothing goes on from a cursor; what helps is the same whatever the reason."""
    text = f"{why} Start without a cursor, and read the items afresh."
    return of_kind("unusable-cursor", text)
