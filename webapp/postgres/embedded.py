"""An embedded PostgreSQL that several processes share and that ends with the last of them, `kill -9` included."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from webapp.postgres.binaries import ROOT_HOME, find_binaries, is_root, make_folder
from webapp.postgres.cluster import Cluster
from webapp.settings import PACKAGE, RESOURCES, Settings, SetupError

if sys.platform != "win32":
    import fcntl

DATABASE = "inventory"
_HELD: set["EmbeddedServer"] = set()  # the locks and pipes of what is started here close when the process ends


def default_data_dir(settings: Settings) -> Path:
    """Return where the cluster is: DATA_DIR, else a folder of this checkout's own, else the user's data folder."""
    if settings.data_dir is not None:
        return settings.data_dir
    is_checkout = RESOURCES != PACKAGE
    if is_root():  # outside /root, which `nobody` cannot enter
        return ROOT_HOME / (f"{RESOURCES.name}-{_digest(RESOURCES)}" if is_checkout else "postgres")
    return RESOURCES / ".data/postgres" if is_checkout else _user_data_folder() / "live-inventory"


def _user_data_folder() -> Path:
    try:
        home = Path.home()
    except RuntimeError as error:
        raise SetupError("This user has no home folder: set DATA_DIR to a folder for the database.") from error
    if sys.platform == "darwin":
        return home / "Library/Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:10]


class EmbeddedServer:
    """A server that all processes with the same `data_dir` share; `SetupError` where an operator must act.

    `data_dir` holds `cluster`, `lock` (held around every start and stop) and `users` (held by every user).
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self._users: IO[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        with self._explained():
            self._cluster = Cluster(self.data_dir / "cluster", find_binaries(), durable=durable)
        self.bin = self._cluster.binaries.folder

    @property
    def psql_path(self) -> Path:
        """The psql of the server's release."""
        return self.bin / "psql"

    @property
    def url(self) -> str:
        """The address of the database `inventory`, also while the server does not run."""
        return self._cluster.url(DATABASE)

    def start(self) -> str:
        """Start the server unless it runs; return the URL of the database `inventory`, made if missing."""
        with self._explained():
            make_folder(self.data_dir)
            try:
                with self._locked():
                    self._join()
                    self._cluster.bring_up(DATABASE)
            except BaseException:
                self._leave()
                raise
        return self.url

    def revive(self) -> bool:
        """Start the server again if it has ended while we use it; return whether it had."""
        with self._explained(), self._locked():
            return self._cluster.bring_up(DATABASE)

    def guard(self, *, delete: bool = False) -> None:
        """Let a process of its own stop the server (and delete the data) when its last user has ended, however.

        Before the start, for one may end within it.
        """
        script = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))]
        places = (self.data_dir, self._cluster.socket_dir(), self.bin / "pg_ctl")
        self._guard = subprocess.Popen(  # noqa: S603 - our own script
            [*script, *map(str, places), "delete" if delete else "keep"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the guarded process
            cwd="/",
        )

    def survive_exec(self) -> None:
        """Remain a user of the server when this process becomes another program."""
        for file in (self._users, self._guard and self._guard.stdin):
            if file:
                os.set_inheritable(file.fileno(), True)  # noqa: FBT003 - takes no keyword

    def stop(self, mode: str = "fast") -> None:
        """Stop the server, whoever else uses it; `mode` is pg_ctl's."""
        with self._explained(), self._locked():
            self._cluster.stop(mode)
        self._leave()

    def _join(self) -> None:
        self._users = self._users or (self.data_dir / "users").open("ab")
        fcntl.flock(self._users, fcntl.LOCK_SH)
        _HELD.add(self)

    def _leave(self) -> None:
        if self._users:
            self._users.close()
        if self._guard:
            self._guard.communicate()
        self._users = self._guard = None
        _HELD.discard(self)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.data_dir / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = error.filename or self.data_dir
            raise SetupError(
                f"The embedded PostgreSQL cannot use {place}: {error.strerror}.\n"
                "Set DATA_DIR to a folder that can be written to, or DATABASE_URL to a server of your own."
            ) from error
