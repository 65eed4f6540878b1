"""The static files: read and compressed once, when the process starts.

gzip alone: browsers offer Brotli and Zstandard only to a server that speaks TLS, and would save 3 KB once per build.
"""

import gzip
import re
from hashlib import blake2b
from pathlib import PurePath
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.staticfiles import NotModifiedResponse

from webapp.rendering import STATIC, build
from webapp.responses import READ

# What is served, and as what: the system's own table may differ, and a browser runs no script of another type.
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
SCRIPTS = "vendor.js"
_DIGEST = re.compile("[0-9a-f]{12}")

router = APIRouter()


class Form(NamedTuple):
    """A file as it is sent, plain or compressed."""

    body: bytes
    headers: dict[str, str]


@router.api_route("/static/{digest}/{path:path}", methods=READ)
async def static_file(request: Request, digest: str, path: str) -> Response:
    """Answer with a file, which a browser may keep for ever: its address holds the build's digest.

    A page of another build (from before a restart, or of a process that is newer during an upgrade) gets today's
    files under its own address, not to be kept: without them it would be dead, and could not even say that it is old.
    """
    if path not in FILES or not _DIGEST.fullmatch(digest):
        raise HTTPException(404)
    plain, gzipped = FILES[path]
    form = gzipped if "gzip" in request.headers.get("accept-encoding", "") else plain
    keep = "public, max-age=31536000, immutable" if digest == build() else "no-cache"
    headers = {**form.headers, "Cache-Control": keep}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return NotModifiedResponse(Headers(headers))
    return Response(form.body, headers=headers)


def _read_files() -> dict[str, tuple[Form, Form]]:
    """Return both forms of each file by its path below the folder."""
    found = {path.relative_to(STATIC).as_posix(): path for path in sorted(STATIC.rglob("*"))}
    contents = {name: path.read_bytes() for name, path in found.items() if path.suffix in MEDIA_TYPES}
    # One script: deferred on its own, each file could run after htmx has begun without it (htmx#3693).
    contents[SCRIPTS] = b"\n;".join(content for name, content in contents.items() if name.startswith("vendor/"))
    return {name: _forms(content, MEDIA_TYPES[PurePath(name).suffix]) for name, content in contents.items()}


def _forms(content: bytes, media_type: str) -> tuple[Form, Form]:
    gzipped = gzip.compress(content, 9, mtime=0)
    return (
        _form(content, {"Content-Type": media_type}),
        _form(gzipped, {"Content-Type": media_type, "Content-Encoding": "gzip"}),
    )


def _form(body: bytes, headers: dict[str, str]) -> Form:
    tag = blake2b(body, digest_size=6).hexdigest()
    return Form(body, {**headers, "ETag": f'"{tag}"', "Vary": "Accept-Encoding"})


FILES = _read_files()
