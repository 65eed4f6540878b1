"""A short round of chaos, by its command; and its controls: with a safety taken out it has to notice."""

import subprocess
import sys

import pytest

from webapp.settings import RESOURCES


def chaos(*options: str) -> subprocess.CompletedProcess[str]:
    """Run one round, always with the same seed, in a process of its own: it cancels whatever is under way."""
    command = [sys.executable, "-m", "tests.chaos", *options]
    return subprocess.run(command, cwd=RESOURCES, capture_output=True, text=True, check=False, timeout=240)


def test_whatever_goes_wrong_every_page_ends_at_what_select_says_and_none_claims_to_be_live_meanwhile() -> None:
    done = chaos("--seconds", "15")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "diverged: none" in done.stdout


@pytest.mark.parametrize("safety", ["resync", "revision-check"])  # for certainty it takes half a minute of stalls
def test_the_control_without_a_safety_pages_diverge(safety: str) -> None:
    done = chaos("--seconds", "0", "--no-browsers", "--patience", "2", "--without", safety)
    assert "diverged: /?" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
