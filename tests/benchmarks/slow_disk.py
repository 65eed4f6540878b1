"""Flushes of the log that take a millisecond longer, as on a disk in a network."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from webapp.postgres.binaries import server_account
from webapp.postgres.embedded import EmbeddedServer

_SOURCE = Path(__file__).with_suffix(".c")


class SlowDisk:
    """The disk of a server of the benchmark's own, which is started anew for it; slow while one asks for it."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._switch = server.data_dir / "disk-is-slow"
        self._library = _compiled(server.data_dir)
        _restart(server, {"LD_PRELOAD": str(self._library), "SLOW_DISK": str(self._switch)} if self._library else {})

    @property
    def means(self) -> str:
        """How it is made slow."""
        return "`fdatasync` sleeps first" if self._library else "`commit_delay`, which holds a lock, for want of `cc`"

    @contextmanager
    def slow(self) -> Iterator[str]:
        """Let it be slow while the context lasts for connections that have the options yielded."""
        if not self._library:
            yield "-c commit_delay=1000 -c commit_siblings=0"  # the leader of a group commit waits before it flushes
            return
        self._switch.touch()
        try:
            yield ""
        finally:
            self._switch.unlink()


def _compiled(folder: Path) -> Path | None:
    """Return an `fdatasync` to be found before that of the system; None where it cannot be compiled."""
    compiler, library = shutil.which("cc"), folder / "slow_disk.so"
    if not compiler:
        return None
    if subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, _SOURCE], check=False).returncode:
        return None
    library.chmod(0o755)
    return library


def _restart(server: EmbeddedServer, environment: Mapping[str, str]) -> None:
    cluster = server.data_dir / "cluster"
    subprocess.run(
        [server.bin / "pg_ctl", "-D", cluster, "-w", "-s", "-l", cluster / "server.log", "restart"],
        check=True,
        cwd="/",
        start_new_session=True,
        env={"LC_ALL": "C", **environment},
        **server_account(),
    )
