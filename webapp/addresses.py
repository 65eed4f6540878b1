"""Addresses below the path that a reverse proxy gives to the application: ROOT_PATH, ASGI's `root_path`."""

from fastapi.responses import RedirectResponse
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send


class RootPath:
    """ASGI middleware: tells the path in the scope, whether the proxy in front has cut it off or not."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on what ASGI says: a path that begins with `root_path`."""
        if scope["type"] != "lifespan":
            path = scope["path"]
            below = path.removeprefix(self._root) if f"{path}/".startswith(f"{self._root}/") else path
            scope["root_path"], scope["path"] = self._root, self._root + (below or "/")
        await self._app(scope, receive, send)


def path_of(scope: Scope) -> str:
    """Return the path that was asked for, as the routes name it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def address(request: HTTPConnection, path: str) -> str:
    """Return where a browser finds a path of ours; templates write `{{ root }}` before it."""
    return f"{request.scope.get('root_path', '')}{path}"


def redirect(request: HTTPConnection, path: str, status: int = 303) -> RedirectResponse:
    """Lead to a path of ours."""
    return RedirectResponse(address(request, path), status)
