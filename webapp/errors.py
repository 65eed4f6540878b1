"""What goes wrong, told to people: a page of its own, or a line for the page they have; and to programs as JSON."""

import logging

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from psycopg.errors import DiskFull, ReadOnlySqlTransaction
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from webapp import problems
from webapp.access.security import HEADERS, SAFE_METHODS
from webapp.logs import REQUEST_ID
from webapp.problems import Problem, is_for_programs
from webapp.rendering import Renderer
from webapp.server.request_log import HEADER
from webapp.stock import forms, items
from webapp.text import first_line

logger = logging.getLogger(__name__)

STOCK_ERRORS = {
    items.NoSuchItem: (404, "No such item"),
    items.NotEnough: (409, "Not enough in stock"),
    items.TooMuch: (409, "Too much"),
    items.Busy: (503, "Not now"),
    items.NameTaken: (409, "Name taken"),
    items.CodeTaken: (409, "Code taken"),
    items.EditConflict: (409, "Changed meanwhile"),
    items.CannotUndo: (409, "Cannot be undone"),
    forms.BadCount: (422, "How many?"),
    forms.BadReason: (422, "Why?"),
}
TITLES = {
    400: "The request cannot be understood",
    403: "Not from here",
    401: "Not signed in",
    404: "Page not found",
    405: "That cannot be done here",
    413: "Too large",
    408: "The request took too long",
    415: "Not a form",
    429: "Too many requests",
    431: "Too many headers",
}
TEXTS = {
    404: "The address may be mistyped, or what was here is gone.",
    405: "This address is there, but not for this kind of request.",
}
DATABASE_AWAY = "The database does not answer at the moment."
DATABASE_REFUSES: dict[type[psycopg.Error], str] = {
    DiskFull: "The database has no room left: its disk is full.",
    ReadOnlySqlTransaction: "The database is read-only at the moment.",
}
NOTHING_CHANGED = "Nothing was changed. Reload in a few seconds, or go back: what you typed is still there."
MAYBE_CHANGED = "Look at the list before you try again: your change may have been stored."


def wants_fragment(request: Request) -> bool:
    """Whether htmx asks for a piece; going back in the history it asks for the whole page."""
    return request.headers.get("hx-request-type") == "partial"


def problem_of(error: items.StockError) -> Problem:
    """Return what a program is told of something that the stock does not allow."""
    status, title = STOCK_ERRORS.get(type(error), (422, "Not possible"))
    return problems.of_stock_error(error, status, title)


async def answer_problem(request: Request, problem: Problem) -> Response:
    """Answer a program's request with what was raised."""
    return problem.response(request)


async def answer_nobody(request: Request, error: ClientDisconnect) -> Response:  # noqa: ARG001
    """Answer a client that has gone while its request was read: it is no defect of ours, and nothing is sent."""
    return Response(status_code=408)


class Errors:
    """Makes the answer to each kind of error."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def add_handlers(self, app: FastAPI) -> None:
        """Let the application answer its errors so."""
        app.exception_handler(items.StockError)(self.answer_stock_error)
        app.exception_handler(Problem)(answer_problem)
        app.exception_handler(HTTPException)(self.answer_http_error)
        app.exception_handler(RequestValidationError)(self.answer_bad_request)
        app.exception_handler(psycopg.OperationalError)(self.answer_database_down)
        app.exception_handler(ReadOnlySqlTransaction)(self.answer_database_down)
        app.exception_handler(ClientDisconnect)(answer_nobody)
        app.exception_handler(Exception)(self.answer_defect)

    async def answer_http_error(self, request: Request, error: HTTPException) -> Response:
        """Answer what routing, reading and the middleware refuse."""
        if is_for_programs(request):
            return problems.of_http_error(request, error).response(request)
        status = error.status_code
        headers = {"Allow": "GET, HEAD"} if status == 405 else {}
        text = TEXTS.get(status, error.detail)
        return self._answer(request, status, _title(error), text, {**headers, **(error.headers or {})})

    async def answer_stock_error(self, request: Request, error: items.StockError) -> Response:
        """Answer what the stock does not allow."""
        problem = problem_of(error)
        if is_for_programs(request):
            return problem.response(request)
        return self._answer(request, problem.status, problem.title, problem.detail)

    async def answer_bad_request(self, request: Request, error: RequestValidationError) -> Response:
        """Answer parameters of the wrong kind."""
        if is_for_programs(request):
            return problems.of_bad_request(error).response(request)
        return self._answer(request, 422, TITLES[400], str(error.errors()[0]["msg"]))

    async def answer_database_down(self, request: Request, error: psycopg.Error) -> Response:
        """Answer that the database is away, or takes nothing in.

        Only a request that got no connection surely changed nothing, or one whose statement was refused.
        """
        logger.warning("%s %s: %s", request.method, request.url.path, first_line(error))
        problem = DATABASE_REFUSES.get(type(error), DATABASE_AWAY)
        surely_unchanged = request.method in SAFE_METHODS or type(error) in (PoolTimeout, *DATABASE_REFUSES)
        if is_for_programs(request):
            return problems.database_away(problem, surely_unchanged=surely_unchanged).response(request)
        text = f"{problem} {NOTHING_CHANGED if surely_unchanged else MAYBE_CHANGED}"
        return self._answer(request, 503, "The database is away", text, {"Retry-After": "5"})

    async def answer_defect(self, request: Request, error: Exception) -> Response:  # noqa: ARG002 - uvicorn logs it
        """Answer what nobody thought of. Starlette does this outside of all middleware, so the headers are set here."""
        text = f"This is an error on our side; the server's log says more about request {REQUEST_ID.get()}."
        headers = {**HEADERS, HEADER: str(REQUEST_ID.get()), "Connection": "close"}  # as uvicorn does: tell it
        if is_for_programs(request):
            return Problem(500, text, headers=headers).response(request)
        return self._answer(request, 500, "Something went wrong", text, headers)

    def _answer(
        self, request: Request, status: int, title: str, text: str, headers: dict[str, str] | None = None
    ) -> Response:
        if wants_fragment(request):
            body = self._renderer.render("items/message.html", text=text)
        else:
            body = self._renderer.render("error.html", status=status, title=title, text=text, id=REQUEST_ID.get())
        # no-store: a browser may otherwise keep that a page was missing, and show it when it is not any more.
        fixed = {"Vary": "HX-Request-Type", "Cache-Control": "no-store"}
        return HTMLResponse(body, status, {**(headers or {}), **fixed})


def _title(error: HTTPException) -> str:
    title: str = getattr(error, "title", TITLES.get(error.status_code, error.detail))
    return title
