"""A Chromium for the tests: found, or installed (`python -m tests.browser`)."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

NAMES = (
    "chromium-headless-shell",  # the same engine without a browser around it, as Playwright's own: a page is quicker
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "microsoft-edge",
)
MAC_APPS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
PLAYWRIGHTS_OWN = ""
# What a whole browser adds to each page, also without a window: the lists below its address bar, which are two pages
# more, and a process in advance of the next one. Without them a page takes half the work.
NOT_NEEDED = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "SpareRendererForSitePerProcess")
INSTALL_SECONDS = 900
_TRIAL = """
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=sys.argv[1] or None, timeout=20000)
    assert browser.new_page().evaluate("6 * 7") == 42
    print(browser.new_browser_cdp_session().send("SystemInfo.getInfo")["commandLine"])
    browser.close()
"""


def ensure() -> str:
    """Return what `find` returns, after installing a Chromium if there is none; ends the process if that fails."""
    path = find()
    if path is None:
        _install()
        _found.cache_clear()
        path = find()
    if path is None:
        sys.exit("There is no Chromium that starts: set CHROMIUM_PATH, or run playwright install --with-deps chromium")
    return path


def find() -> str | None:
    """Return the path of a Chromium that starts here, empty for Playwright's own, None if there is none."""
    found = _found()
    return found and found[0]


def chromium_arguments() -> list[str]:
    """Return what to start it with besides what Playwright does, whose option of that name counts no longer."""
    found = _found()
    left_out = re.findall(r"--disable-features=(\S+)", found[1] if found else "")
    return ["--disable-features=" + ",".join([*left_out, *NOT_NEEDED])]


@cache
def _found() -> tuple[str, str] | None:
    """Return the path and the command line of the first one that starts."""
    tried = ((path, _command_line(path)) for path in _candidates())
    return next(((path, line) for path, line in tried if line is not None), None)


def _candidates() -> Iterator[str]:
    if chosen := os.environ.get("CHROMIUM_PATH"):
        yield chosen
        return
    yield PLAYWRIGHTS_OWN
    yield from filter(None, map(shutil.which, NAMES))
    yield from (app for app in MAC_APPS if Path(app).exists())


def _starts(path: str) -> bool:
    return _command_line(path) is not None


def _command_line(path: str) -> str | None:
    """Return how Playwright starts it, or None: a file that exists may still not start (a stub, missing libraries)."""
    command = [sys.executable, "-c", _TRIAL, path]
    try:
        trial = subprocess.run(command, capture_output=True, check=False, timeout=60, text=True)
    except subprocess.TimeoutExpired:
        return None
    return trial.stdout if trial.returncode == 0 else None


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
