"""CSV in and out, by plain forms and links: upload, preview, apply; and the download of a view."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from webapp.access.security import MAX_UPLOAD_BYTES
from webapp.addresses import redirect
from webapp.files.exporting import export_csv
from webapp.files.importing import ChangedMeanwhile, NoSuchImport, apply_file, importing, read_file, review_file
from webapp.files.review import Review
from webapp.files.rows import SYNONYMS
from webapp.live.pieces import Pieces
from webapp.postgres.database import prepare
from webapp.responses import READ, PiecesOfApp, html
from webapp.stock.forms import read_fields
from webapp.stock.items import MAX_QUANTITY
from webapp.stock.views import View
from webapp.text import whole_number

router = APIRouter(default_response_class=HTMLResponse)

EXPORTS_AT_ONCE = 4
UPLOADS_AT_ONCE = 8
UPLOAD_TYPE = "multipart/form-data"
_exports: set[object] = set()
_uploads: set[object] = set()


@router.api_route("/export.csv", methods=READ)
async def export(request: Request) -> Response:
    """Send all items of a view as a file."""
    view, _ = View.parse(request.query_params)
    today = datetime.now(request.app.state.settings.timezone).date()
    headers = {"Content-Disposition": f'attachment; filename="inventory-{today}.csv"', "Cache-Control": "no-store"}
    if request.method == "HEAD":
        return Response(headers=headers, media_type="text/csv")
    parts = _counted(export_csv(_url(request), view))
    first = await anext(parts)  # what fails, fails before anything is sent
    return StreamingResponse(_chained(first, parts), headers=headers, media_type="text/csv")


@router.api_route("/import", methods=READ)
async def show_upload(request: Request, pieces: PiecesOfApp) -> Response:
    """Show the form for a file; after an import, what it did."""
    done = {name: whole_number(request.query_params.get(name, ""), MAX_QUANTITY) for name in ("added", "changed")}
    return _upload_page(pieces, done=None if None in done.values() else done)


@router.post("/import")
async def upload(request: Request, pieces: PiecesOfApp) -> Response:
    """Read a file; lead to its preview, or show what is wrong with it."""
    review = await _read_upload(request)
    if review is None:
        return _upload_page(pieces, status=422, missing=True)
    if review.problems.count:
        return _upload_page(pieces, status=422, review=review)
    return redirect(request, f"/import/{review.token}")


@router.api_route("/import/{token}", methods=READ)
async def show_preview(request: Request, token: str, pieces: PiecesOfApp) -> Response:
    """Show what a file would change now."""
    try:
        return _preview(pieces, await _in_thread(_review, _url(request), token))
    except NoSuchImport as error:
        return _upload_page(pieces, status=404, note=str(error))


@router.post("/import/{token}")
async def apply(request: Request, token: str, pieces: PiecesOfApp) -> Response:
    """Import the file; where the inventory is not what the preview showed, show a new one."""
    digest = (await read_fields(request)).get("digest", "")
    try:
        review = await _in_thread(_apply, _url(request), token, digest)
        return redirect(request, f"/import?added={review.added}&changed={review.changed}")
    except ChangedMeanwhile as error:
        review = await _in_thread(_review, _url(request), token)
        return _preview(pieces, review, status=409, note=str(error))
    except NoSuchImport as error:
        return _upload_page(pieces, status=404, note=str(error))


async def _read_upload(request: Request) -> Review | None:
    """Read the posted file into the database; None if the form has none."""
    if not request.headers.get("content-type", "").lower().startswith(UPLOAD_TYPE):
        raise HTTPException(415, f"This address takes a file, sent as {UPLOAD_TYPE}.")
    with _one_of(_uploads, UPLOADS_AT_ONCE, "importing"):
        return await _read_form(request)


async def _read_form(request: Request) -> Review | None:
    async with request.form(max_files=1, max_fields=1) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            return None
        return await _in_thread(_read, _url(request), file)


def _read(url: str, upload: UploadFile) -> Review:
    with importing(url) as connection:
        review = read_file(connection, upload.file, upload.filename or "")
        if review.problems.count:
            connection.rollback()
        return review


def _review(url: str, token: str) -> Review:
    with importing(url) as connection:
        return review_file(connection, token)


def _apply(url: str, token: str, digest: str) -> Review:
    with importing(url) as connection:
        return apply_file(connection, token, digest)


async def _in_thread(work: Any, *arguments: Any) -> Review:
    """Reading a large file must not hold up the live pages of this process."""
    review: Review = await anyio.to_thread.run_sync(partial(work, *arguments))
    return review


async def _counted(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    with _one_of(_exports, EXPORTS_AT_ONCE, "exporting"):
        async for part in parts:
            yield part


@contextmanager
def _one_of(several: set[object], most: int, doing: str) -> Iterator[None]:
    """Refuse more at once than the database has connections to spare, or the disk has room for."""
    if len(several) >= most:
        text = f"Others are {doing} at the moment. Try again in a minute."
        raise HTTPException(503, text, {"Retry-After": "60"})
    slot = object()
    several.add(slot)
    try:
        yield
    finally:
        several.discard(slot)


async def _chained(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in others:
        yield part


def _url(request: Request) -> str:
    return prepare(request.app.state.settings).url  # made ready when the application started


def _upload_page(pieces: Pieces, *, status: int = 200, **values: Any) -> Response:
    shown = {"done": None, "missing": False, "review": None, "note": None, **values}
    limit_mb = MAX_UPLOAD_BYTES // 2**20
    return html(pieces, "import/index.html", status=status, synonyms=SYNONYMS, limit_mb=limit_mb, **shown)


def _preview(pieces: Pieces, review: Review, *, status: int = 200, note: str | None = None) -> Response:
    return html(pieces, "import/preview.html", status=status, review=review, note=note)
