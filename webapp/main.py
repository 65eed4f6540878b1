"""The application: its parts put together. `uvicorn webapp.main:app` serves it."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from webapp import inventory, pages, socket
from webapp.database import Database, dedicated_conninfo, open_pool, prepare
from webapp.hub import Hub
from webapp.listener import Listener
from webapp.pages import answer_error
from webapp.rendering import STATIC, Renderer, build
from webapp.security import Security
from webapp.settings import Settings, SetupError, load_settings
from webapp.sources import Pieces
from webapp.startup import PlainSetupErrors

logger = logging.getLogger(__name__)

STATUS_OF_ERROR = {
    inventory.NoSuchItem: (404, "No such item"),
    inventory.NotEnough: (409, "Not enough in stock"),
    inventory.TooMuch: (409, "Too much"),
    pages.BadCount: (422, "How many?"),
}


def create_app(settings: Settings) -> FastAPI:
    """Put the application together."""
    renderer = Renderer(settings.timezone)
    app = FastAPI(title="Live Inventory", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan)
    app.state.settings = settings
    app.state.pieces = Pieces(renderer)
    app.include_router(pages.router)
    app.include_router(socket.router)
    app.mount(f"/static/{build()}", ImmutableFiles(directory=STATIC))
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(Security, allowed_hosts=settings.allowed_hosts)
    app.add_middleware(PlainSetupErrors)
    _add_error_handlers(app, renderer)
    _add_probes(app)
    return app


class ImmutableFiles(StaticFiles):
    """Static files below an address that names their content: a browser may keep them for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with a file, or 404."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    database = await asyncio.to_thread(prepare, app.state.settings)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(database))
        app.state.pool, app.state.hub = pool, _make_hub(database, pool, app.state.pieces)
        stack.callback(app.state.hub.close)
        for work in (app.state.hub.follow(), app.state.hub.beat()):
            stack.push_async_callback(_stop, _start(work))
        yield


def _make_hub(database: Database, pool: inventory.Pool, pieces: Pieces) -> Hub:
    return Hub(pool, Listener(dedicated_conninfo(database.listen_url, "live-inventory listener")), pieces)


def _start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    task.add_done_callback(_stop_process_on_defect)
    return task


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _stop_process_on_defect(task: asyncio.Task[None]) -> None:
    """A process whose live feed has ended for a reason nobody thought of must not go on looking healthy."""
    if not task.cancelled() and (error := task.exception()):
        logger.critical("the live feed has ended", exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)


def _add_error_handlers(app: FastAPI, renderer: Renderer) -> None:
    @app.exception_handler(inventory.StockError)
    async def answer_stock_error(request: Request, error: inventory.StockError) -> Response:
        status, title = STATUS_OF_ERROR.get(type(error), (422, "Not possible"))
        return answer_error(request, renderer, status, title, str(error))

    @app.exception_handler(psycopg.OperationalError)
    async def answer_database_down(request: Request, error: psycopg.OperationalError) -> Response:
        logger.warning("%s %s: %s", request.method, request.url.path, str(error).partition("\n")[0])
        text = "The database does not answer at the moment. Nothing was changed; try again in a few seconds."
        return answer_error(request, renderer, 503, "The database does not answer", text)

    @app.exception_handler(HTTPException)
    async def answer_http_error(request: Request, error: HTTPException) -> Response:
        title = "There is no such page" if error.status_code == 404 else error.detail
        return answer_error(request, renderer, error.status_code, title, error.detail)

    @app.exception_handler(RequestValidationError)
    async def answer_bad_request(request: Request, error: RequestValidationError) -> Response:
        return answer_error(request, renderer, 422, "The request cannot be understood", str(error.errors()[0]["msg"]))

    @app.exception_handler(Exception)
    async def answer_defect(request: Request, error: Exception) -> Response:  # noqa: ARG001 - uvicorn logs it
        text = "This is a defect of ours; the server's log says more."
        return answer_error(request, renderer, 500, "Something went wrong", text)


def _add_probes(app: FastAPI) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the process is alive."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, str]:
        """Whether the database answers and its change feed is fresh."""
        certain = app.state.hub.is_certain()
        response.status_code = 200 if certain else 503
        return {"status": "ok" if certain else "the change feed is not fresh"}


try:
    app = create_app(load_settings())
except SetupError as error:
    raise SystemExit(str(error)) from None
