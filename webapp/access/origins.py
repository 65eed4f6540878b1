"""Whose page a request comes from: ours, as far as Host, Origin and Sec-Fetch-Site say, or one of another site."""

import re
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import Scope

OUR_SITE = ("same-origin", "none")  # none: a person asked, not a page
_DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(:(?P<port>[0-9]{0,5}))?")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>.*)")


def is_of_another_site(headers: Headers, scope: Scope) -> bool:
    """Whether a page of another site writes or opens a socket, as its browser says.

    The browser itself says so, also where it sends no Origin; but of sockets not all browsers say what is true.
    """
    if scope["type"] == "websocket":
        return _is_of_another_origin(headers, scope)
    called = only(headers, "sec-fetch-site") if "sec-fetch-site" in headers else "none"
    return called not in OUR_SITE or _is_of_another_origin(headers, scope)


def _is_of_another_origin(headers: Headers, scope: Scope) -> bool:
    """Whether Origin is not ours; programs send none. Where it is known that we speak TLS, a page without is not."""
    if "origin" not in headers:
        return False
    origin = only(headers, "origin")
    is_plain = origin.lower().startswith("http:") and scope.get("scheme") in ("https", "wss")
    return is_plain or not is_same_origin(origin, only(headers, "host"))


def is_same_origin(origin: str, host: str) -> bool:
    """Whether a page of `origin` was served by us, as `host`.

    Programs send no Origin; a browser's must be ours. The scheme may differ: TLS can end in front of us. A port that
    is not said is the one of the browser's scheme, since a proxy may say it where the browser does not.
    """
    parts = _ORIGIN.fullmatch(origin.lower())
    ours, theirs = authority(host), authority(parts["authority"]) if parts else None
    if not (parts and ours and theirs):
        return False
    default = _DEFAULT_PORTS[parts["scheme"]]
    return (ours[0], ours[1] or default) == (theirs[0], theirs[1] or default)


def authority(text: str) -> tuple[str, int | None] | None:
    """Return name and port, if any, of a Host header; IPv6 without brackets; None if it is malformed."""
    parts = _AUTHORITY.fullmatch(text.lower())
    if not parts:
        return None
    name, port = parts["name"], int(parts["port"]) if parts["port"] else None
    try:
        return ip_address(name.strip("[]")).compressed, port
    except ValueError:
        return None if name.startswith("[") else (name, port)


def only(headers: Headers, name: str) -> str:
    """Return the header's value; a header that comes twice counts as malformed, as does none."""
    values = headers.getlist(name)
    return values[0] if len(values) == 1 else ""
