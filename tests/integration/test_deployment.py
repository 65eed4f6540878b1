"""The deployment files, as DEPLOYMENT.md and the repository have them, are checked by what reads them, and run."""

import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.command import COMMAND, serving
from tests.integration.parts import find
from webapp.settings import RESOURCES

PROGRAM = "/opt/live-inventory/bin/live-inventory"


@pytest.fixture(scope="module")
def unit() -> str:
    """The systemd unit of DEPLOYMENT.md."""
    (found,) = re.findall(r"```ini\n(.*?)```", (RESOURCES / "DEPLOYMENT.md").read_text(), re.DOTALL)
    return str(found)


def value(unit: str, name: str) -> str:
    (found,) = re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)
    return str(found)


def check_that_it_serves(
    command: list[str], database_url: str, log: Path, reload: signal.Signals | None = None
) -> None:
    with serving(database_url, log, command=command) as server:
        if reload:
            server.process.send_signal(reload)
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=10) as answer:
            assert answer.status == 200
        server.process.terminate()
        assert server.process.wait(30) in (0, -signal.SIGTERM)


@pytest.mark.parts
def test_systemd_understands_the_unit(unit: str, tmp_path: Path) -> None:
    verify = [find("systemd-analyze", "systemd"), "verify", "--man=no", "--recursive-errors=no"]
    file = tmp_path / "live-inventory.service"
    file.write_text(unit.replace(PROGRAM, "/bin/true"))
    done = subprocess.run([*verify, str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    file.write_text(unit.replace(PROGRAM, "/bin/true").replace("KillMode=mixed", "KillMode=gently"))
    assert "kill mode" in subprocess.run([*verify, str(file)], capture_output=True, text=True, check=False).stderr


def test_what_the_unit_starts_serves_and_reloads_and_ends(unit: str, database_url: str, tmp_path: Path) -> None:
    assert value(unit, "ExecReload") == "/bin/kill -HUP $MAINPID"
    program, *arguments = shlex.split(value(unit, "ExecStart"))
    assert program == PROGRAM
    check_that_it_serves([*COMMAND, *arguments], database_url, tmp_path / "log", signal.SIGHUP)


def test_what_the_procfile_starts_serves(database_url: str, tmp_path: Path) -> None:
    lines = dict(line.split(": ", 1) for line in (RESOURCES / "Procfile").read_text().splitlines())
    program, *arguments = shlex.split(lines["web"])
    assert program == "python"
    arguments = [each.replace("0.0.0.0", "127.0.0.1") for each in arguments]  # no test is for others to reach
    check_that_it_serves([sys.executable, *arguments], database_url, tmp_path / "log")
