"""What the pages rely on in the vendored htmx: each was a trap once, and may be one again in another version."""

import random

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.e2e.conftest import eventually_in, open_live
from tests.server import LiveServer
from webapp.live.difference import Entry, Snapshot, difference, everything
from webapp.live.pieces import Pieces
from webapp.pages.static_files import SCRIPTS
from webapp.rendering import Renderer, static_url
from webapp.settings import Settings

List = list[tuple[int, int]]


class Puppet:
    """A page whose socket the test holds."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.received: list[str] = []
        self.sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/live*", self._accept)
        page.goto(url)
        eventually_in(page, lambda: self.received)

    def send(self, frame: str) -> None:
        self.sockets[-1].send(frame)

    def show(self, frame: str) -> None:
        """Send a frame and return when it has been swapped in."""
        mark = f"mark-{random.random()}"
        self.send(f'{frame}<hx-partial hx-target="#message" hx-swap="innerHTML"><i id="{mark}"></i></hx-partial>')
        self.page.wait_for_function("id => document.getElementById(id)", arg=mark)  # looks at every frame drawn

    def rows(self) -> list[str]:
        """Return the rows as they are, less the mark that a stub leaves."""
        rows: list[str] = self.page.evaluate("[...document.querySelectorAll('#rows > tr')].map(row => row.outerHTML)")
        return [row.replace(' data-same=""', "") for row in rows]

    def _accept(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(lambda message: self.received.append(str(message)))


@pytest.fixture
def puppet(shared_server: LiveServer, page: Page) -> Puppet:
    page.route("**/*", lambda route: route.abort() if is_watchdog(route) else route.continue_())
    return Puppet(page, shared_server.url)


def test_pages_that_lose_their_server_together_come_back_one_after_the_other(puppet: Puppet) -> None:
    puppet.page.evaluate(
        """() => {
            const wait = window.setTimeout;
            window.waits = [];
            window.setTimeout = (act, ms) => { window.waits.push(ms); return wait(act, 0); };
        }"""
    )
    for number in range(2, 22):
        puppet.sockets[-1].close(code=1012)
        eventually_in(puppet.page, lambda number=number: len(puppet.sockets) == number)  # type: ignore[misc]
    waits = [ms for ms in puppet.page.evaluate("window.waits") if ms and ms > 200]
    assert len(set(waits)) == len(waits) == 20, "each chooses at random"
    assert 210 <= min(waits) < max(waits) - 60 <= 330, "and not all nearly the same"


@pytest.fixture
def pieces() -> Pieces:
    return Pieces(Renderer(Settings().timezone))


def is_watchdog(route: Route) -> bool:
    return route.request.headers.get("hx-request-type") == "partial"


def rows_of(values: List) -> Snapshot:
    entries = (Entry(f"item-{i}", f'<tr id="item-{i}"><td data-field="name">{value}</td></tr>') for i, value in values)
    return Snapshot({"rows": tuple(entries)}, {})


def frame(pieces: Pieces, old: Snapshot | None, new: Snapshot) -> str:
    swaps = (
        difference(old, new, lambda entry, _: entry.html, lambda entry: pieces.stub("tr", entry.id)) if old else None
    )
    return pieces.frame(swaps or everything(new), "revision", "items/_revision.html", new.revision)


def random_list(chance: random.Random) -> List:
    ids = chance.sample(range(1, 15), chance.randint(0, 12))
    return [(i, chance.randint(0, 2)) for i in ids]


def test_the_difference_of_any_two_lists_is_applied_as_the_model_says(puppet: Puppet, pieces: Pieces) -> None:
    chance = random.Random(20261125)
    shown: Snapshot | None = None
    for _ in range(120):
        new = rows_of(random_list(chance))
        puppet.show(frame(pieces, shown, new))
        assert puppet.rows() == [entry.html for entry in new.lists["rows"]]
        shown = new


def test_a_frame_that_comes_twice_does_no_harm(puppet: Puppet, pieces: Pieces) -> None:
    chance = random.Random(7)
    shown: Snapshot | None = None
    for _ in range(30):
        new = rows_of(random_list(chance))
        for _ in range(2):
            puppet.show(frame(pieces, shown, new))
        assert puppet.rows() == [entry.html for entry in new.lists["rows"]]
        shown = new


def test_focus_caret_and_typed_text_survive_in_a_row_that_moves(puppet: Puppet, pieces: Pieces) -> None:
    def typing(*ids: int) -> Snapshot:
        cells = [Entry(f"item-{i}", f'<tr id="item-{i}"><td><input id="input-{i}"></td></tr>') for i in ids]
        return Snapshot({"rows": tuple(cells)}, {})

    puppet.show(frame(pieces, None, typing(1, 2, 3)))
    puppet.page.locator("#input-2").press_sequentially("half")
    puppet.page.keyboard.press("ArrowLeft")
    puppet.show(frame(pieces, typing(1, 2, 3), typing(2, 3, 1, 4)))
    expect(puppet.page.locator("#input-2")).to_be_focused()
    puppet.page.keyboard.type("-")
    expect(puppet.page.locator("#input-2")).to_have_value("hal-f")


def test_all_swaps_of_one_frame_show_in_one_paint(puppet: Puppet, pieces: Pieces) -> None:
    old, new = rows_of([(i, 0) for i in range(100)]), rows_of([(i, 1) for i in range(100)])
    puppet.show(frame(pieces, None, old))
    puppet.page.evaluate(
        """() => {
            window.seen = new Set();
            const look = () => {
                window.seen.add([...document.querySelectorAll('#rows td')].filter(td => td.textContent === '1').length);
                requestAnimationFrame(look);
            };
            look();
        }"""
    )
    puppet.show(frame(pieces, old, new))
    puppet.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert set(puppet.page.evaluate("[...window.seen]")) == {0, 100}


def test_no_frame_could_be_taken_for_an_envelope(shared_server: LiveServer, page: Page) -> None:
    """What parses as JSON is treated as one: a frame is HTML from its first character."""
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    open_live(page, shared_server.url)
    eventually_in(page, lambda: frames)
    assert all(frame.startswith("<hx-partial ") for frame in frames)


def test_the_scripts_are_one_so_that_no_page_stays_dead(shared_server: LiveServer, page: Page) -> None:
    """With defer on separate files htmx may start before its extensions are there, without any error."""
    page.goto(shared_server.url)
    assert page.locator("script").count() == 1
    assert page.locator(f"head script[defer][src='{static_url(SCRIPTS)}']").count() == 1


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013])
def test_a_closed_socket_comes_back_and_resumes(puppet: Puppet, code: int) -> None:
    puppet.sockets[-1].close(code=code)
    eventually_in(puppet.page, lambda: len(puppet.received) == 2)
    assert '"type":"resume"' in puppet.received[1]
    assert '"revision":' in puppet.received[1]
    assert '"summary":' in puppet.received[1]


def test_the_resume_message_carries_the_revision_that_the_last_frame_left(puppet: Puppet) -> None:
    puppet.show(
        '<hx-partial hx-target="#revision" hx-swap="outerHTML">'
        '<input type="hidden" id="revision" name="revision" value="newest"></hx-partial>'
    )
    puppet.sockets[-1].close(code=1012)
    eventually_in(puppet.page, lambda: len(puppet.received) == 2)
    assert '"revision":"newest"' in puppet.received[1]


def test_a_frame_of_beats_only_leaves_the_document_as_it_is(shared_server: LiveServer, page: Page) -> None:
    open_live(page, shared_server.url)
    page.evaluate(
        """() => {
            window.mutations = [];
            new MutationObserver(list => window.mutations.push(...list.map(m => m.target.id || m.target.tagName)))
                .observe(document.querySelector('#main'), {childList: true, subtree: true, characterData: true});
        }"""
    )
    beat = page.locator("#beat").element_handle()
    page.wait_for_function("beat => !beat.isConnected", arg=beat)
    assert page.evaluate("window.mutations") == []
