"""The packages of `webapp/`, in the order of the table in CONTRIBUTING.md: each imports only those below it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from webapp.settings import PACKAGE

TABLE = (PACKAGE.parent / "CONTRIBUTING.md").read_text()
PACKAGES = re.findall(r"`webapp/(\w+)/`", TABLE)


def imported(file: Path) -> Iterator[str]:
    """Yield the packages of ours that a module imports from."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            if parts[0] == "webapp" and len(parts) > 1 and parts[1] in PACKAGES:
                yield parts[1]


def test_the_table_has_every_package() -> None:
    assert sorted(PACKAGES) == sorted(each.parent.name for each in PACKAGE.glob("*/__init__.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_those_below_it(package: str) -> None:
    above = PACKAGES[: PACKAGES.index(package)]
    for file in (PACKAGE / package).glob("*.py"):
        assert not set(imported(file)) & set(above), file.name
