"""What templates may contain, and what rendering does to hostile text."""

import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest

from webapp.live.pieces import Pieces
from webapp.pages.static_files import FILES, SCRIPTS
from webapp.rendering import STATIC, TEMPLATES, Renderer, build, static_url
from webapp.stock.forms import ItemForm
from webapp.stock.items import Item

JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}", re.DOTALL)
TEMPLATE_NAMES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))
HOSTILE = "<script>alert(1)</script>\"'&"
EVALUATED = ("hx-on", "hx-vals", "hx-vars", "hx-headers")  # htmx evaluates `js:` values of the latter three


def make(name: str = "apples", updated_at: datetime = datetime(2030, 1, 2, 3, 4, 59, tzinfo=UTC)) -> Item:
    return Item(7, name, 3, None, "Shelf 3", 5, None, 1, updated_at)


class Elements(HTMLParser):
    """Collects the start tags of a template with the values of their attributes."""

    def __init__(self, template: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(JINJA.sub("", (TEMPLATES / template).read_text("utf-8")))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


@pytest.mark.parametrize("template", TEMPLATE_NAMES)
def test_no_template_needs_eval_or_has_inline_code_or_style(template: str) -> None:
    for tag, attributes in Elements(template).found:
        assert tag != "style"
        for name, value in attributes.items():
            assert not name.startswith(("on", *EVALUATED)), f"{name} in <{tag}>"
            assert name != "style", f"<{tag}>"
            assert not re.match(r"\s*(js|javascript)\s*:", value, re.IGNORECASE), f"{name} in <{tag}>"
            if name.partition(":")[0] == "hx-trigger":
                assert "[" not in value, f"a filter in the trigger of <{tag}>"


@pytest.mark.parametrize("template", TEMPLATE_NAMES)
def test_no_address_is_without_the_path_that_the_application_is_below(template: str) -> None:
    values = [value for _, attributes in Elements(template).found for value in attributes.values()]
    assert [value for value in values if re.match(r"/|\{\{ (?!root \}\})[a-z_.]*url", value)] == []


@pytest.mark.parametrize("template", TEMPLATE_NAMES)
def test_the_vendored_script_is_the_only_one_of_every_page(template: str) -> None:
    scripts = [attributes for tag, attributes in Elements(template).found if tag == "script"]
    source = "{{ root }}{{ static_url('vendor.js') }}"
    assert scripts == ([{"defer": "", "src": source, "nonce": "gate"}] if template == "base.html" else [])


def test_no_javascript_is_served_but_the_vendored_files_unchanged() -> None:
    record = (STATIC / "vendor/VENDOR.md").read_text("utf-8")
    recorded = dict(re.findall(r"^\| `([\w.-]+)` \|.*\| `([0-9a-f]{64})` \|$", record, re.MULTILINE))
    served = {name.removeprefix("vendor/"): plain.body for name, (plain, _) in FILES.items() if name.endswith(".js")}
    assert served.pop(SCRIPTS) == b"\n;".join(served[name] for name in recorded), "htmx is first"
    assert {name: hashlib.sha256(body).hexdigest() for name, body in served.items()} == recorded
    assert {name.rpartition(".")[2] for name in FILES} == {"css", "js", "svg"}
    assert "<script" not in (STATIC / "favicon.svg").read_text("utf-8")


@pytest.mark.parametrize("template", ["items/_row.html", "items/delete.html"])
def test_hostile_names_are_text(template: str) -> None:
    html = Renderer(ZoneInfo("UTC")).render(template, item=make(HOSTILE), changed=frozenset(), tick="a")
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert f'"{HOSTILE}' not in html


def test_hostile_text_that_was_typed_comes_back_as_text() -> None:
    form = ItemForm.read(dict.fromkeys(("name", "quantity", "unit", "location", "reorder_level"), HOSTILE * 10))
    html = Renderer(ZoneInfo("UTC")).render("items/_form.html", form=form)
    assert html.count("alert(1)") == 50
    assert "<script" not in html


@pytest.mark.parametrize(("zone", "shown"), [("UTC", "2030-01-02 03:04:59"), ("Asia/Kathmandu", "2030-01-02 08:49:59")])
def test_times_are_shown_in_the_configured_zone_and_machines_read_them_exactly(zone: str, shown: str) -> None:
    html = Pieces(Renderer(ZoneInfo(zone))).item(make()).html
    assert f">{shown}</time>" in html
    assert 'datetime="2030-01-02T03:04:59+00:00"' in html
    assert f'data-at="{datetime(2030, 1, 2, 3, 4, tzinfo=UTC).timestamp() / 60:.0f}"' in html


def test_a_row_is_rendered_once_per_content() -> None:
    pieces = Pieces(Renderer(ZoneInfo("UTC")))
    assert pieces.item(make()) is pieces.item(make())
    assert pieces.item(make("pears")) is not pieces.item(make())


def test_only_what_changed_is_highlighted_and_the_class_alternates() -> None:
    pieces = Pieces(Renderer(ZoneInfo("UTC")))
    assert "changed" not in pieces.item(make()).html
    html = pieces.changed_item(make("pears"), make())
    assert re.findall(r'data-field="(\w+)" class="[^"]*changed-b', html) == ["name"]


def test_the_address_of_a_static_file_names_its_build() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", build())
    assert static_url("css/app.css") == f"/static/{build()}/css/app.css"
