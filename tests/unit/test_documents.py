"""The documents: that what they name is there."""

import re
from pathlib import Path

from webapp.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_each_test_that_the_security_policy_names_is_there() -> None:
    named = set(re.findall("`(test_[a-z0-9_]+)`", (ROOT / "SECURITY.md").read_text("utf-8")))
    files = ROOT.glob("tests/**/test_*.py")
    written = {name for file in files for name in re.findall(r"def (test_\w+)\(", file.read_text("utf-8"))}
    assert named > {"test_a_trailer_is_no_header"}
    assert named <= written


def test_the_readme_explains_every_setting_and_no_other() -> None:
    table = (
        (ROOT / "README.md").read_text("utf-8").partition("| variable | default | meaning |")[2].partition("\n\n")[0]
    )
    explained = set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE))
    assert explained - {"TEST_DATABASE_URL"} == {name.upper() for name in Settings.model_fields}


def test_each_module_is_where_the_map_of_the_folders_says() -> None:
    rows = re.findall(r"^\| (`webapp/.*?`) \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE)
    named = [(re.findall("`(.*?)`", folders), re.findall(r"`(\w+\.py)`", what)) for folders, what in rows]
    assert sum(len(modules) for _, modules in named) > 30
    for folders, modules in named:
        for module in modules:
            assert any((ROOT / folder / module).exists() for folder in folders), module


def test_each_link_within_the_documents_leads_somewhere() -> None:
    documents = {path: path.read_text("utf-8") for path in (*ROOT.glob("*.md"), ROOT / "tests/benchmarks/README.md")}
    links = [(path, link) for path, text in documents.items() for link in re.findall(r"\]\(([^):]+)\)", text)]
    assert len(links) > 20
    for path, link in links:
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def _anchors(document: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
