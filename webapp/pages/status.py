"""The page that tells how this process does."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from webapp.errors import wants_fragment
from webapp.operations.status import StatusPage, StatusView
from webapp.responses import READ, PiecesOfApp, html

router = APIRouter(default_response_class=HTMLResponse)


@router.api_route("/status", methods=READ)
async def show_status(request: Request, pieces: PiecesOfApp) -> Response:
    """Show how the process that answers does, live."""
    page: StatusPage = request.app.state.status
    shown = page.render()
    values: dict[str, Any] = {name.removeprefix("status-"): Markup(piece) for name, piece in shown.elements.items()}  # noqa: S704 - ours
    template = "status/_view.html" if wants_fragment(request) else "status/index.html"
    return html(pieces, template, view=StatusView(), revision=shown.revision, **values)
