"""Jinja templates to HTML; the page and the push render the same pieces with it."""

from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from webapp.roles import PRINCIPAL
from webapp.settings import RESOURCES

TEMPLATES = RESOURCES / "templates"
STATIC = RESOURCES / "static"


def _digest_of_tree(*folders: Path) -> str:
    """Digest of all files below the folders: 12 hexadecimal digits."""
    digest = blake2b(digest_size=6)
    for folder in folders:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(str(file.relative_to(folder)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def build() -> str:
    """Name what this process serves: a page of another build must be rendered afresh."""
    return _digest_of_tree(TEMPLATES, STATIC)


def static_url(path: str) -> str:
    """Path of a static file; it holds the build's digest, so browsers may keep it for ever."""
    return f"/static/{build()}/{path}"


class Renderer:
    """Templates with the application's filters."""

    def __init__(self, timezone: ZoneInfo, root: str = "") -> None:
        self.timezone = timezone
        self.renders = 0  # since the start
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        # What templates write before each path: a name of the operator's, checked, so not escaped for every row.
        self._environment.globals.update(root=Markup(root))  # noqa: S704
        self._environment.globals.update(static_url=static_url, build=build, now=now_minutes, timezone=timezone.key)
        self._environment.globals.update(principal=PRINCIPAL.get)
        self._environment.filters.update(local=self._local, minutes=_minutes)

    def render(self, template: str, **values: Any) -> str:
        """Render a template, page or piece, without white space around it."""
        self.renders += 1
        return self._environment.get_template(template).render(values).strip()

    def _local(self, at: datetime) -> str:
        """Format a time in the configured zone, to the second."""
        return at.astimezone(self.timezone).isoformat(" ", "seconds")[:19]


def now_minutes() -> int:
    """Return the page's clock, see `data-now`: whole minutes since 1970."""
    return _minutes(datetime.now(UTC))


def _minutes(at: datetime) -> int:
    return int(at.timestamp() // 60)
