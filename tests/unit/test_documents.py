"""What the documents say of the tests."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_test_that_the_security_policy_names_is_there() -> None:
    named = set(re.findall("`(test_[a-z0-9_]+)`", (ROOT / "SECURITY.md").read_text("utf-8")))
    files = ROOT.glob("tests/**/test_*.py")
    written = {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text("utf-8"))}
    assert named > {"test_a_trailer_is_no_header"}
    assert named <= written
