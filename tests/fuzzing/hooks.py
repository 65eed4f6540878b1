"""What the requests of schemathesis lack: a key that no other request has."""

import re
import secrets
from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make each valid Idempotency-Key one of its own, and let nobody wait for changes that do not come."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        case.headers["Idempotency-Key"] = secrets.token_hex()
    if isinstance((case.query or {}).get("wait"), int) and case.query["wait"] in range(31):
        case.query["wait"] = 0
