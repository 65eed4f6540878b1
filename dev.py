#!/usr/bin/env python3
"""Get what the project needs, then run it; only Python 3.8 or later is assumed.

    python3 dev.py serve        the page on http://127.0.0.1:8000, with a PostgreSQL of its own
    python3 dev.py test         all tests, browser included; arguments go to pytest
    python3 dev.py check        the linters and the type checker
    python3 dev.py bench        speed beside peers on the same machine; --quick takes 3 minutes
    python3 dev.py chaos        random writers and faults; --minutes 60 --seed 7 for long, the same again by its seed
    python3 dev.py psql         the database
    python3 dev.py simulate     a made-up shop that fills the shelves and trades

All other words go to the command `live-inventory`: account, token, import, export, doctor, backup, restore, ...
The locked packages go to .venv, and only when requirements.lock has changed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
UV = "uv==0.13.9"
OLDEST = (3, 11)
CHECKS = (
    "ruff check .",
    "ruff format --check .",
    "mypy",
    "djlint templates --lint --quiet --ignore=J018,H043",  # url_for is Flask's; a form's button is meant to submit
    "squawk --config .squawk.toml sql/migrations/*.sql",
)


def main() -> None:
    """Run one command; its exit status is this program's."""
    command, *arguments = sys.argv[1:] or ["serve"]
    if command in ("-h", "--help"):
        print(__doc__)
        return
    os.chdir(ROOT)
    ensure_packages()
    keep_byte_code()
    if command == "test":
        run(PYTHON, "-m", "tests.browser") or sys.exit(1)
        become("pytest", *(arguments or ["-n", "2"]))
    elif command in ("bench", "chaos"):
        become("tests.benchmarks" if command == "bench" else "tests.chaos", *arguments)
    elif command == "check":
        sys.exit(check() or 0)
    else:
        become("webapp", command, *arguments)


def keep_byte_code() -> None:
    """Compile nothing twice, whatever the environment says: tests start a hundred processes. No folder is littered."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(VENV / "bytecode")


def become(module: str, *arguments: str) -> None:
    """Go on as a module of .venv, so that Ctrl-C and the exit status are its own."""
    command = [str(PYTHON), "-m", module, *arguments]
    if os.name == "nt":
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


def check() -> str:
    """Run all checks at once; return what has failed, which is empty if all is well."""
    running = [(line, start(BIN / line.split()[0], *line.split()[1:])) for line in CHECKS]
    failed = [line for line, process in running if not told(line, process)]
    return "Failed: " + ", ".join(failed) if failed else ""


def start(*command: object) -> "subprocess.Popen[bytes]":
    """Start a program in the project's folder, and keep what it says."""
    words = [str(word) for word in command]
    return subprocess.Popen(words, cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def told(line: str, process: "subprocess.Popen[bytes]") -> bool:
    """Show what a program has said when it has ended; return whether it succeeded."""
    said, _ = process.communicate()
    sys.stderr.write(f"+ {line}\n{said.decode(errors='replace')}")
    return process.returncode == 0


def ensure_packages() -> None:
    """Make .venv hold exactly the locked packages; while it does, nothing is done and no network is used."""
    stamp = VENV / ".dev-stamp"
    made_of = (LOCK.read_bytes(), str(ROOT).encode(), str(sys.version_info[:2]).encode())
    wanted = hashlib.sha256(b"\n".join(made_of)).hexdigest()
    if not (PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted):
        if not (with_uv() or with_pip() or after_apt()):
            sys.exit("This needs uv, or pip, or Python 3.11 with venv. On Debian: sudo apt-get install python3-venv")
        stamp.write_text(wanted)


def with_uv() -> bool:
    """Install with uv, from PATH or fetched by pip; where this Python is too old, uv finds or fetches another."""
    os.environ.setdefault("UV_SYSTEM_CERTS", "true")  # as pip does: a company's own certificate may be there
    uv = shutil.which("uv") or fetch_uv()
    python = sys.executable if sys.version_info >= OLDEST else ">=3.11"
    return (
        bool(uv)
        and run(uv, "venv", "--quiet", "--clear", "--python", python, VENV)
        and run(uv, "pip", "sync", "--quiet", "--require-hashes", "--python", PYTHON, LOCK)
    )


def fetch_uv() -> str:
    """Return the path of uv in .tools, or nothing; pip may do that also in an externally managed Python."""
    folder = ROOT / ".tools" / UV
    uv = folder / "bin" / ("uv.exe" if os.name == "nt" else "uv")
    if not uv.exists() and can_import("pip"):
        run(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder, UV)
    return str(uv) if uv.exists() else ""


def with_pip() -> bool:
    """Install with venv and pip alone."""
    return (
        sys.version_info >= OLDEST
        and can_import("ensurepip")
        and run(sys.executable, "-m", "venv", "--clear", VENV)
        and run(
            PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", LOCK
        )
    )


def after_apt() -> bool:
    """As root on Debian, install pip first."""
    if not (shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0):
        return False
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "update", "-qq")
    return run("apt-get", "install", "-y", "-qq", "python3-pip", "python3-venv") and (with_uv() or with_pip())


def can_import(module: str) -> bool:
    """Ask a new process, which also sees what apt has installed a moment ago."""
    return subprocess.call([sys.executable, "-c", f"import {module}"], stderr=subprocess.DEVNULL) == 0


def run(*command: object) -> bool:
    """Run a program, shown first, from the project's folder; return whether it succeeded."""
    words = [str(word) for word in command]
    print("+", *words, file=sys.stderr, flush=True)
    return subprocess.call(words, cwd=str(ROOT)) == 0


if __name__ == "__main__":
    main()
