"""How the API's routes are declared: what each answers, with which headers, and the OpenAPI document made of that."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from webapp import problems
from webapp.api.models import ProblemDetails
from webapp.errors import STOCK_ERRORS
from webapp.stock import items

Answers = dict[int | str, dict[str, Any]]

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=200, description='The version that you have seen, such as `"7"`.'),
]
IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", max_length=200, description='The version that you have, such as `"7"`.'),
]
EVERYWHERE = (400, 401, 413, 422, 429, 431, 500, 503)
WRITING = (403,)
MEANINGS = {
    304: "You have the current version.",
    400: "The host name is not served here, or the body is not JSON.",
    401: "There are accounts, and no valid token was sent.",
    403: "Your role or token may not do this, or the request comes from a page of another site.",
    404: "There is no such item.",
    409: "The stock does not allow it; `type` says why, and nothing was changed.",
    410: "This cursor can no longer be followed: start without one.",
    412: "The item has changed since; `current` is what it is now, and nothing was changed.",
    413: "The request is too large.",
    415: "The body is not sent as application/json.",
    422: "Something is not as documented here; `errors` says what. Or the Idempotency-Key came with another request.",
    429: "Too many requests from you or your address; try again after `Retry-After` seconds.",
    431: "Too many headers, or too large ones.",
    500: "An error of the server.",
    503: "The database is away or busy; try again after `Retry-After` seconds.",
}
HEADERS: dict[str, dict[str, Any]] = {
    "ETag": {"description": "The version.", "required": True, "schema": {"type": "string", "pattern": '^"[0-9]+"$'}},
    "Location": {"description": "Its address.", "required": True, "schema": {"type": "string", "pattern": "/api/"}},
    "Link": {"description": 'The address of `next`, with rel="next".', "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "`true`: this was done before, and the answer is the one given then.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds.", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
}
HEADERS_OF = {304: ["ETag"], 412: ["ETag"], 401: ["WWW-Authenticate"]}
HEADERS_OF |= {status: ["Retry-After"] for status in (409, 429, 503)}
TOKEN = {"type": "http", "scheme": "bearer", "description": "An API token, created at /account/tokens."}
RAISED = (items.NoSuchItem, items.NotEnough, items.TooMuch, items.NameTaken, items.CodeTaken, items.Busy)
REPLAYED = {"200", "201", "404", "409", "412"}
DESCRIPTION = """\
Items and what happens to them, as JSON. Errors are problem details (RFC 9457): `type` names the kind, other members
carry the facts. A POST with an `Idempotency-Key` can be sent again until it is answered: it is done only once.

Quantities are whole numbers up to 9223372036854775807. JavaScript loses digits beyond 9007199254740991 (2^53 - 1):
there, read them with a parser that knows BigInt.
"""


class ApiRoute(APIRoute):
    """A route that refuses what is not JSON before anybody looks at it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which reads the body first."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if await request.body():
                if kind != "application/json":
                    raise HTTPException(415, "This address takes JSON, sent as application/json.")
                await _read_json(request)
            return await handle(request)

        return handle_json


async def _read_json(request: Request) -> None:
    """Read the body, which the request keeps. Raises a `Problem` for one that is not JSON."""
    try:
        await request.json()
    except (ValueError, RecursionError) as error:
        text = "The body is not JSON in UTF-8, is nested too deeply, or has a number of thousands of digits."
        raise problems.of_kind("not-json", text) from error


def reading(router: APIRouter, path: str, responses: Answers) -> Callable[[Any], Any]:
    """Register a route for GET and, outside of the document, for HEAD."""

    def register(handle: Any) -> Any:
        router.head(path, include_in_schema=False)(handle)
        return router.get(path, responses=responses)(handle)

    return register


def answers(  # noqa: PLR0913, PLR0917
    status: int,
    description: str,
    model: type[BaseModel] | None = None,
    headers: Sequence[str] = (),
    refusals: Sequence[int] = (),
    links: dict[str, Any] | None = None,
    *,
    writes: bool = False,
) -> Answers:
    """Declare what a route answers: one kind of success, the refusals of its own, and those that all have."""
    success: dict[str, Any] = {"description": description, "headers": {name: HEADERS[name] for name in headers}}
    success |= ({"model": model} if model else {}) | ({"links": links} if links else {})
    reads_body = 415 in refusals
    others = {*refusals, *EVERYWHERE, *(WRITING if writes or reads_body else ())}
    return {status: success, **{other: _refusal(other) for other in sorted(others)}}


def item_links() -> dict[str, Any]:
    """Say what can be done with a new item."""
    operations = ("get_item", "edit_item", "delete_item", "take", "put", "count")
    parameters = {"item_id": "$response.body#/id"}
    return {name: {"operationId": name, "parameters": parameters} for name in operations}


def _refusal(status: int) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    content = {} if status < 400 else {"content": {problems.MEDIA_TYPE: {"schema": schema}}}
    headers = {name: HEADERS[name] for name in HEADERS_OF.get(status, ())}
    return {"description": MEANINGS[status], **content, **({"headers": headers} if headers else {})}


def describe(routes: Sequence[BaseRoute], root: str) -> dict[str, Any]:
    """Return the OpenAPI document of the routes, which are below the path `root`."""
    document = get_openapi(
        title="Live Inventory",
        version="1",
        description=DESCRIPTION,
        routes=routes,
        servers=[{"url": root}] if root else None,
    )
    document["x-problem-types"] = _problem_types(root)
    document["components"]["securitySchemes"] = {"token": TOKEN}
    document["security"] = [{"token": []}, {}]  # where there are no accounts, none is needed
    schemas = document["components"]["schemas"]
    schemas[ProblemDetails.__name__] = ProblemDetails.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operation in (operation for path in document["paths"].values() for operation in path.values()):
        summary, _, operation["description"] = operation["description"].partition("\n\n")
        operation["summary"] = " ".join(summary.split()).rstrip(".")
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _of_what_is_sent(parameter["schema"])
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ())):
            _tell_of_replays(operation["responses"])
    return document


def _problem_types(root: str) -> list[dict[str, Any]]:
    """Return all that can be the `type` of a problem: about the stock, by their errors' docstrings, and other ones."""
    of_stock = [
        (problems.kind_of(error), (status, title, (error.__doc__ or "").partition("\n")[0]))
        for error, (status, title) in STOCK_ERRORS.items()
        if error in RAISED
    ]
    names = ("status", "title", "description")
    types = sorted([*of_stock, *problems.KINDS.items()])
    return [
        {"type": f"{root}{problems.DOCS}#{kind}", **dict(zip(names, values, strict=True))} for kind, values in types
    ]


def _of_what_is_sent(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out null, which no address and no header can hold: an optional parameter is left out."""
    choices = [choice for choice in schema.pop("anyOf", ()) if choice != {"type": "null"}]
    return {**schema, **choices[0]} if choices else schema


def _tell_of_replays(responses: dict[str, Any]) -> None:
    for status in REPLAYED & responses.keys():
        responses[status].setdefault("headers", {})["Idempotency-Replayed"] = HEADERS["Idempotency-Replayed"]
