"""Errors told to programs: problem details (RFC 9457), with the facts that a program can act on."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match

from webapp.addresses import address, path_of
from webapp.stock.items import StockError

MEDIA_TYPE = "application/problem+json"
DOCS = "/api"  # each type of problem is explained there, under its own name
KINDS = {  # those that are not about the stock: status, title, meaning
    "not-json": (400, "Not JSON", "The body cannot be read."),
    "invalid": (422, "Not as documented", "`errors` says by field or parameter what cannot be used."),
    "changed-meanwhile": (
        412,
        "Changed meanwhile",
        "It is not a version of If-Match; `current` is what it is.",
    ),
    "unusable-cursor": (410, "Unusable cursor", "Nothing goes on from here: start without a cursor."),
    "in-progress": (409, "In progress", "The first request with this Idempotency-Key is not answered yet."),
    "key-reused": (422, "Key used before", "This Idempotency-Key came with another request."),
}


@dataclass
class Problem(Exception):
    """A refusal; without a `kind` it is no more than what its status says. `facts` are members of their own."""

    status: int
    detail: str
    kind: str = ""
    title: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, request: HTTPConnection) -> Response:
        """Return the answer. It is ASCII, so that no text a program has sent us can break it."""
        content = {
            "type": address(request, f"{DOCS}#{self.kind}") if self.kind else "about:blank",
            "title": self.title or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.facts,
        }
        headers = {**self.headers, "Cache-Control": "no-store"}
        return Response(json.dumps(content), self.status, headers, MEDIA_TYPE)


def is_for_programs(request: Request) -> bool:
    """Whether a request is one of a program, which wants no page."""
    return path_of(request.scope).startswith(f"{DOCS}/")


def of_kind(kind: str, detail: str, facts: Mapping[str, Any] | None = None, **headers: str) -> Problem:
    """Return a problem of one of `KINDS`; a header's name is written with underscores."""
    status, title, _ = KINDS[kind]
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Problem(status, detail, kind, title, facts or {}, named)


def kind_of(error: type[Exception]) -> str:
    """Return the name of a kind of problem: `NotEnough` is not-enough."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "-", error.__name__).lower()


def of_stock_error(error: StockError, status: int, title: str) -> Problem:
    """Tell what the stock does not allow; the error's plain values become facts."""
    facts = {name: value for name, value in vars(error).items() if isinstance(value, str | int)}
    headers = {"Retry-After": "1"} if status == 503 else {}
    return Problem(status, str(error), kind_of(type(error)), title, facts, headers)


def of_http_error(request: Request, error: HTTPException) -> Problem:
    """Tell what routing, reading and the middleware refuse."""
    headers = {**(error.headers or {})}
    detail = error.detail
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods_at(request)))
        detail = f"This address takes {headers['Allow']}."
    elif error.status_code == 404:
        detail = "There is nothing at this address; /api lists those that there are."
    return Problem(error.status_code, detail, headers=headers)


def of_bad_request(error: RequestValidationError) -> Problem:
    """Tell each parameter or field that is not as the OpenAPI document says."""
    found = error.errors()
    errors = {".".join(map(str, part["loc"][1:])) or str(part["loc"][0]): part["msg"] for part in found}
    names = ", ".join(errors)
    return of_kind("invalid", f"Not usable: {names}.", {"errors": errors})


def database_away(problem: str, *, surely_unchanged: bool) -> Problem:
    """Tell what is wrong with the database, and whether the request surely changed nothing."""
    changed = "It may have been done: ask with the same Idempotency-Key, or look, before you try again."
    text = f"{problem} {'Nothing was changed.' if surely_unchanged else changed}"
    return Problem(503, text, headers={"Retry-After": "5"})


def _methods_at(request: Request) -> set[str]:
    """Return the methods of all routes at an address, where each route only knows its own."""
    matching = (route for route in _routes(request) if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in matching for method in getattr(route, "methods", None) or ()}


def _routes(request: Request) -> Iterator[BaseRoute]:
    for route in request.app.routes:
        included = getattr(route, "original_router", None)  # newer releases of FastAPI keep a router in one piece
        yield from included.routes if included else (route,)
