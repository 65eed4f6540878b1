"""Who asks, and what each role may do."""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

from starlette.types import Scope

from webapp.access.security import PROBES, SAFE_METHODS
from webapp.addresses import path_of


class Role(IntEnum):
    """Each may do what those before it may: watch, change the stock, and give accounts to others."""

    NOBODY = 0
    VIEWER = 1
    EDITOR = 2
    ADMIN = 3

    @property
    def label(self) -> str:
        """The role as the database and people write it."""
        return self.name.lower()

    @classmethod
    def labelled(cls, label: str) -> "Role":
        """Return the role of a label. Raises `KeyError`."""
        return cls[label.upper()]


GIVEN_ROLES = tuple(role.label for role in Role if role)


@dataclass(frozen=True, slots=True)
class Principal:
    """On whose behalf a request is. `name` is None where there are no accounts, or nobody has signed in."""

    role: Role
    name: str | None = None
    account_id: int | None = None
    session_id: int = 0
    token_hash: bytes = b""


NOBODY = Principal(Role.NOBODY)
ANYBODY = Principal(Role.EDITOR)  # where it is open: there is nothing to administer
PRINCIPAL: ContextVar[Principal] = ContextVar("principal", default=NOBODY)

# Everything else is for those who have signed in, so that a route that is forgotten here lets nobody in.
FOR_ALL = (*PROBES, "/sign-in", "/sign-out", "/invitation", "/favicon.ico")
_OWN = "/account"  # what people do with their own account changes no stock
_FOR_ADMINS = "/accounts"
_FORMS = re.compile("/import(/[^/]*)?|/items/[^/]*/(edit|edit-button|delete)")  # they lead to nothing but a change


def needed_role(scope: Scope) -> Role:
    """Return the least role that may ask for what a scope asks for."""
    path = path_of(scope)
    if path in FOR_ALL or path.startswith("/static/"):
        return Role.NOBODY
    if _is_below(path, _FOR_ADMINS):
        return Role.ADMIN
    if scope["type"] == "websocket" or _is_below(path, _OWN):
        return Role.VIEWER
    return Role.VIEWER if scope["method"] in SAFE_METHODS and not _FORMS.fullmatch(path) else Role.EDITOR


def is_for_people(scope: Scope) -> bool:
    """Whether programs are not admitted: a token neither makes another nor changes what people sign in with."""
    return _is_below(path_of(scope), _OWN) or _is_below(path_of(scope), _FOR_ADMINS)


def _is_below(path: str, place: str) -> bool:
    return f"{path}/".startswith(f"{place}/")
