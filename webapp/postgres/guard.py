"""The guard: a process of its own that stops the embedded PostgreSQL when its last user has ended, by `kill -9` too.

It is run by its path and uses the standard library only, since it sits beside every process that uses the server.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Wait until the guarded process has ended; stop the server unless another process uses it."""
    data_dir, socket_dir, pg_ctl, fate = sys.argv[1:]
    sys.stdin.read()  # the guarded process holds the other end of this pipe and never writes
    for _ in range(10):  # a dying process drops its pipe a moment before its lock
        if _stop_if_unused(Path(data_dir), Path(socket_dir), pg_ctl, delete=fate == "delete"):
            return
        time.sleep(0.1)


def _stop_if_unused(data_dir: Path, socket_dir: Path, pg_ctl: str, *, delete: bool) -> bool:
    """Return whether nothing is left to do; a user that is still there has a guard of its own."""
    try:
        with (data_dir / "lock").open("rb") as lock, (data_dir / "users").open("rb") as users:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop(data_dir / "cluster", pg_ctl, "immediate" if delete else "fast")
            shutil.rmtree(socket_dir, ignore_errors=True)
            if delete:
                shutil.rmtree(data_dir, ignore_errors=True)
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    return True


def _stop(cluster: Path, pg_ctl: str, mode: str) -> None:
    owner = cluster.stat()
    command = [pg_ctl, "-D", str(cluster), "-m", mode, "-w", "stop"]
    account: dict[str, Any] = (
        {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    )
    subprocess.run(command, cwd="/", check=False, **account)  # noqa: S603 - a program of the wheel


if __name__ == "__main__":
    main()
