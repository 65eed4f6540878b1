import psycopg
import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import open_live
from tests.factories import make_item
from tests.server import LiveServer

NAMES = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "</td></tr></tbody></table><h1>out</h1>",
    "\"><button hx-post='/items/1/delete' hx-trigger='load'>",
    "<hx-partial hx-target='#totals' hx-swap='delete'></hx-partial>",
    "{{ 7 * 7 }} {% raw %}",
    "&amp; &lt;b&gt; & < >",
    "\u202egnirts sdrawkcab\u2066 \u200f",
    "🍎🧑‍🚀 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﷽",
    "line one\nline two",
    "x" * 200,
    "'; DROP TABLE inventory; --",
    '{"content": "<b>bold</b>", "target": "body"}',
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_wherever_it_is_shown(
    server: LiveServer, database: psycopg.Connection, page: Page, name: str
) -> None:
    first = make_item(database, name=name, quantity=1, location=name[:200], unit=name[:40], reorder_level=1)
    open_live(page, server.url)
    shown = page.locator(f'#item-{first} td[data-field="name"]')
    assert shown.text_content() == name
    database.execute("UPDATE inventory SET quantity = 0")
    expect(page.locator(f'#item-{first} td[data-field="quantity"]')).to_have_text("0")
    second = make_item(database, name=f"b{name[1:]}", quantity=1)
    expect(page.locator(f"#item-{second}")).to_be_attached()
    database.execute("SELECT pg_notify('messages_channel', %s)", [name])
    expect(page.locator("#notices li")).to_have_count(1)
    assert shown.text_content() == name
    assert page.evaluate("window.hacked") is None
    assert page.locator("#rows tr").count() == 2
    expect(page.locator("#totals")).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_name_from_the_form_is_told_as_text(server: LiveServer, page: Page) -> None:
    open_live(page, server.url)
    for told in ("#new-status", "#new-name-error"):
        page.locator("#new-name").fill(NAMES[0])
        page.locator("#new-quantity").fill("1")
        page.locator("#new-item button").click()
        expect(page.locator(told)).to_contain_text(NAMES[0])
    assert page.evaluate("window.hacked") is None


ATTEMPTS = [
    "document.body.innerHTML = '<b>x</b>'",
    "document.createElement('script').textContent = 'window.hacked = 1'",
    "document.createElement('script').src = '/static/other.js'",
    "document.body.setAttribute('onclick', 'window.hacked = 1')",
    "setTimeout('window.hacked = 1')",
]


def test_injected_markup_could_do_nothing(server: LiveServer, page: Page, quiet_console: list[str]) -> None:
    open_live(page, server.url)
    for attempt in ATTEMPTS:
        assert (
            page.evaluate(f"() => {{ try {{ {attempt}; return 'done' }} catch {{ return 'refused' }} }}") == "refused"
        )
    assert page.evaluate("window.hacked") is None
    assert quiet_console
    quiet_console.clear()


def test_a_script_in_the_page_itself_would_not_run_either(
    server: LiveServer, page: Page, quiet_console: list[str]
) -> None:
    def inject(route: Route) -> None:
        answer = route.fetch()
        script = '<script nonce="gate">window.hacked = 1</script></body>'
        route.fulfill(response=answer, body=answer.text().replace("</body>", script))

    page.route(server.url + "/", inject)
    page.goto(server.url)
    assert page.locator("body > script").count() == 1
    assert page.evaluate("window.hacked") is None
    assert quiet_console
    quiet_console.clear()
