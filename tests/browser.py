"""A Chromium for the tests: found, or installed (`python -m tests.browser`)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "microsoft-edge")
MAC_APPS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
PLAYWRIGHTS_OWN = ""
INSTALL_SECONDS = 900
_TRIAL = """
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=sys.argv[1] or None, args=sys.argv[2:], timeout=20000)
    assert browser.new_page().evaluate("6 * 7") == 42
    browser.close()
"""


def ensure() -> str:
    """Return what `find` returns, after installing a Chromium if there is none; ends the process if that fails."""
    path = find()
    if path is None:
        _install()
        find.cache_clear()
        path = find()
    if path is None:
        sys.exit("There is no Chromium that starts: set CHROMIUM_PATH, or run playwright install --with-deps chromium")
    return path


@cache
def find() -> str | None:
    """Return the path of a Chromium that starts here, empty for Playwright's own, None if there is none."""
    return next((path for path in _candidates() if _starts(path)), None)


def chromium_arguments() -> list[str]:
    """Return what Chromium needs to be started with here: root has no sandbox, containers little shared memory."""
    return ["--no-sandbox", "--disable-dev-shm-usage"] if _is_root() else ["--disable-dev-shm-usage"]


def _candidates() -> Iterator[str]:
    if chosen := os.environ.get("CHROMIUM_PATH"):
        yield chosen
        return
    yield PLAYWRIGHTS_OWN
    yield from filter(None, map(shutil.which, NAMES))
    yield from (app for app in MAC_APPS if Path(app).exists())


def _starts(path: str) -> bool:
    """A file that exists may still not start (a stub, missing libraries), so try it."""
    command = [sys.executable, "-c", _TRIAL, path, *chromium_arguments()]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _install() -> None:
    if not _driver_starts():
        _apt_install("libatomic1")  # the library that Playwright's own Node lacks on a minimal Debian
        if not _driver_starts():
            sys.exit("Playwright's driver does not start. On Debian: sudo apt-get install -y libatomic1")
        if any(map(_starts, _candidates())):
            return
    options = ["--with-deps"] if _has_apt() else []
    _run(sys.executable, "-m", "playwright", "install", *options, "--only-shell", "chromium")
    if not _starts(PLAYWRIGHTS_OWN):
        _apt_install("chromium")


def _driver_starts() -> bool:
    command = [sys.executable, "-m", "playwright", "--version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _apt_install(package: str) -> None:
    if _has_apt():
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", package)


def _has_apt() -> bool:
    return _is_root() and shutil.which("apt-get") is not None


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _run(*command: str) -> None:
    try:
        subprocess.run(
            command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, check=False, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"given up after {INSTALL_SECONDS} seconds: {' '.join(command)}\n")


if __name__ == "__main__":
    sys.stderr.write(f"Chromium: {ensure() or 'of Playwright'}\n")
