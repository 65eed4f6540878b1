"""The application, with one of its safeties taken out where CHAOS_WITHOUT names it: chaos must notice that."""

import os
import sys
from collections.abc import Hashable

from webapp import cli
from webapp.live import hub
from webapp.live.live_view import Cursor, LiveView

VARIABLE = "CHAOS_WITHOUT"


def _without_resync() -> None:
    """Views go on as if all had been told, also where it could not be."""

    class Never:
        """No event is one of these."""

    vars(hub)["Resync"] = Never


def _without_revision_check() -> None:
    """A page that comes back is believed to show what is newest."""
    watch = LiveView.watch

    def watch_from_now(self: LiveView, watcher: Hashable, revision: str) -> Cursor:
        return watch(self, watcher, self.snapshots.newest.revision if self.snapshots.newest else revision)

    LiveView.watch = watch_from_now  # type: ignore[method-assign]


def _without_certainty() -> None:
    """Pages are told that they are live though nobody knows it."""
    hub.Hub.is_certain = lambda self: True  # type: ignore[method-assign]


SAFETIES = {
    "resync": _without_resync,
    "revision-check": _without_revision_check,
    "certainty": _without_certainty,
}

if safety := os.environ.get(VARIABLE):  # also in the processes that the first one spawns
    SAFETIES[safety]()

if __name__ == "__main__":
    sys.exit(cli.main())
