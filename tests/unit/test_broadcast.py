"""Who is written to, how often and with what: connections that only count, no server, no database."""

import asyncio
import gc
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from itertools import pairwise
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from tests.unit.test_live import Shelf, change, settled, snapshot
from webapp import broadcast as broadcast_module
from webapp import payloads
from webapp.broadcast import SLICE, Broadcast
from webapp.changes import Changes
from webapp.client import WRITE_LIMIT_S, Client, Frames
from webapp.database import Pool
from webapp.live import RECENT_SNAPSHOTS, LiveView
from webapp.page import Page
from webapp.payloads import Payload, PayloadLog
from webapp.receipts import Receipts
from webapp.rendering import Renderer, build
from webapp.sources import Pieces
from webapp.views import View


class Wire:
    """A connection that keeps what is written to it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.behind_since: float | None = None
        self.written: list[Frames] = []
        self.closed: tuple[int, str] | None = None
        client.connection = self

    def write(self, frames: Frames) -> None:
        assert self.behind_since is None, "it is behind"
        self.written.append(frames)

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self.client.lost()

    def drain(self) -> None:
        self.behind_since = None
        self.client.drained()

    @property
    def texts(self) -> list[str]:
        return [text for frames in self.written for text in frames.texts]


class Company:
    """What pages share; a beat is a number."""

    def __init__(self) -> None:
        self.broadcast = Broadcast()
        self.shelf = Shelf()
        self.view = LiveView(self.shelf, self.broadcast.wake)
        self.summary_shelf = Shelf()
        self.summary = LiveView(self.summary_shelf, self.broadcast.wake)
        self.beats = 0
        self.receipts = Receipts(cast("Pool", None), Pieces(Renderer(ZoneInfo("UTC"), "")))
        self.pages: set[Page] = set()

    def open_page(self) -> Wire:
        page = Page(self.broadcast, self, View(), (self.view, self.summary))
        self.pages.add(page)
        return Wire(page)

    def leave(self, page: Page) -> None:
        self.pages.discard(page)

    def beat_text(self) -> str:
        return f"beat {self.beats}"

    def version_text(self, *, is_old: bool) -> str:
        return f"[old: {is_old}]"

    def waiting_text(self, count: int | None) -> str:
        return f"waiting {count}"

    def beat(self) -> None:
        self.beats += 1
        self.broadcast.wake(self.pages)

    async def live_pages(self, count: int) -> list[Wire]:
        """Open pages that show all there is, and have heard so."""
        wires = [self.open_page() for _ in range(count)]
        for wire in wires:
            wire.client.hear(resume())
        await until(lambda: all(wire.written for wire in wires))
        for wire in wires:
            wire.written.clear()
            wire.client.not_before = 0.0
        return wires

    async def put(self, quantity: int) -> None:
        """Let the shelf hold a quantity, and the pages see it."""
        self.shelf.quantity = quantity
        self.view._next_refresh_at = 0.0
        self.view.hear(Changes((change(),)))
        await settled(self.view)


def resume() -> str:
    revision = snapshot(1).revision
    return f'{{"type": "resume", "revision": "{revision}", "summary": "{revision}"}}'


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0)


async def served(broadcast: Broadcast) -> None:
    """Wait until nobody is due."""
    await until(lambda: not broadcast._due and not broadcast._woken.is_set())
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    company = Company()
    running = asyncio.create_task(company.broadcast.run())
    yield company
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_all_in_the_same_state_get_one_frame_that_is_built_once(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = await company.live_pages(1_000)
    built: list[str] = []
    frame = Frames.of

    def counted(text: str) -> Frames:
        built.append(text)
        return frame(text)

    monkeypatch.setattr(Frames, "of", counted)
    await company.put(2)
    await until(lambda: all(wire.written for wire in wires))
    assert len(built) == 1
    assert all(wire.written[0] is wires[0].written[0] for wire in wires)


async def test_what_a_page_lacks_of_several_kinds_comes_in_one_frame(company: Company) -> None:
    (wire,) = await company.live_pages(1)
    wire.behind_since = time.monotonic()
    await company.put(2)
    company.summary_shelf.quantity = 3
    company.summary.touch()
    await settled(company.summary)
    company.beat()
    await served(company.broadcast)
    wire.drain()
    await until(lambda: wire.written)
    (text,) = wire.texts
    assert [text.count(each) for each in (">2<", ">3<", "beat 1")] == [1, 1, 1]


async def change_of_both_views_of_which_one_is_slow(company: Company) -> None:
    company.shelf.quantity, company.summary_shelf.quantity = 2, 3
    company.summary_shelf.gate.clear()
    for view in (company.view, company.summary):
        view._next_refresh_at = 0.0
        view.touch()
    await settled(company.view)
    await served(company.broadcast)


async def test_what_changes_together_comes_together_whichever_view_is_read_first(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.live.TOGETHER_S", 60.0)
    (wire,) = await company.live_pages(1)
    await change_of_both_views_of_which_one_is_slow(company)
    assert wire.texts == []
    company.summary_shelf.gate.set()
    await until(lambda: wire.texts)
    await served(company.broadcast)
    (text,) = wire.texts
    assert [text.count(each) for each in (">2<", ">3<")] == [1, 1]


@pytest.mark.parametrize("failures", [0, 100], ids=["is slow", "cannot be read"])
async def test_nobody_waits_long_for_a_view_that(failures: int, company: Company) -> None:
    (wire,) = await company.live_pages(1)
    company.summary_shelf.failures += [OSError("no database")] * failures
    await change_of_both_views_of_which_one_is_slow(company)
    if failures:
        company.summary_shelf.gate.set()
    await until(lambda: ">2<" in "".join(wire.texts))


async def test_what_pages_get_that_show_the_same_is_found_out_once_a_slice(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = await company.live_pages(10 * SLICE)
    looks: list[str] = []
    frame_since = LiveView.frame_since

    def counted(view: LiveView, revision: str) -> tuple[str, str]:
        looks.append(revision)
        return frame_since(view, revision)

    monkeypatch.setattr(LiveView, "frame_since", counted)
    await company.put(2)
    await until(lambda: all(wire.written for wire in wires))
    assert len(looks) <= 2 * 2 * 10, "in both views"


async def test_a_slow_client_gets_the_newest_state_in_one_frame_and_holds_nobody_up(company: Company) -> None:
    slow, quick = await company.live_pages(2)
    slow.behind_since = time.monotonic()
    for quantity in range(2, 12):
        quick.client.not_before = 0.0
        await company.put(quantity)
        await until(lambda: f">{quantity}<" in "".join(quick.texts))  # noqa: B023 - awaited at once
    assert len(quick.written) == 10
    assert slow.written == []
    slow.drain()
    await until(lambda: slow.written)
    assert ">11<" in slow.texts[0]
    assert len(slow.written) == 1


async def test_nobody_keeps_what_a_stalled_client_misses(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    frame_bytes = 10_000
    monkeypatch.setattr(company.shelf, "frame", lambda *_: f"{company.shelf.quantity}".ljust(frame_bytes))
    stalled, quick = await company.live_pages(2)
    stalled.behind_since = time.monotonic()

    async def tell(quantities: Iterable[int]) -> int:
        """Return the bytes in use when all these have been told."""
        for quantity in quantities:
            quick.client.not_before = 0.0
            await company.put(quantity)
            await until(lambda: quick.written)
            quick.written.clear()
        await served(company.broadcast)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = await tell(range(2, 2 + RECENT_SNAPSHOTS))
        after = await tell(range(100, 160))
    finally:
        tracemalloc.stop()
    assert after - before < 5 * frame_bytes, "of 60 frames"
    stalled.drain()
    await until(lambda: stalled.texts == ["159".ljust(frame_bytes)])


async def test_whoever_is_behind_for_too_long_is_let_go(company: Company) -> None:
    slow, patient, quick = await company.live_pages(3)
    slow.behind_since = time.monotonic() - WRITE_LIMIT_S - 1
    patient.behind_since = time.monotonic() - WRITE_LIMIT_S + 5
    company.beat()
    await until(lambda: quick.written)
    assert (slow.closed, patient.closed, quick.closed) == ((1013, "too slow a reader"), None, None)
    assert len(company.pages) == len(company.view.watchers) == 2


async def test_others_get_their_turns_between_slices(company: Company) -> None:
    wires = await company.live_pages(10 * SLICE)
    company.beat()
    written = [0]
    while written[-1] < len(wires):
        await asyncio.sleep(0)
        written.append(sum(len(wire.written) for wire in wires))
    steps = [after - before for before, after in pairwise(written)]
    assert max(steps) <= SLICE


async def test_a_page_gets_no_more_frames_however_often_its_views_are_refreshed(company: Company) -> None:
    (wire,) = await company.live_pages(1)
    began = time.monotonic()
    for quantity in range(2, 40):
        await company.put(quantity)
        await served(company.broadcast)
    assert len(wire.written) <= 3 + (time.monotonic() - began) / 0.125
    await until(lambda: ">39<" in wire.texts[-1])


async def test_a_beat_does_not_make_the_change_behind_it_wait(company: Company) -> None:
    (wire,) = await company.live_pages(1)
    company.beat()
    await until(lambda: wire.written)
    await company.put(2)
    await until(lambda: len(wire.written) == 2)
    company.summary_shelf.quantity = 3
    company.summary._next_refresh_at = 0.0
    company.summary.touch()
    await settled(company.summary)
    await served(company.broadcast)
    assert ">3<" in wire.texts[2]


@pytest.mark.parametrize(
    ("claims", "told"),
    [
        ({}, None),
        ({"build": build()}, None),
        ({"build": "another"}, "[old: True]"),
        ({"build": "another", "told": "1"}, None),
        ({"build": build(), "told": "1"}, "[old: False]"),
    ],
)
async def test_a_page_of_another_build_is_told_so_once_and_when_it_is_no_more(
    company: Company, claims: dict[str, str], told: str | None
) -> None:
    wire = company.open_page()
    for _ in range(2):
        wire.client.hear(json.dumps({**json.loads(resume()), **claims}))
        await until(lambda: wire.written)
        await served(company.broadcast)
        assert sum("[old" in text for text in wire.texts) == bool(told)
        assert (told or "beat") in wire.texts[0]
        wire.written.clear()
    company.beat()
    await until(lambda: wire.written)
    assert "[old" not in "".join(wire.texts)


async def test_a_page_that_does_not_resume_is_closed_and_told_nothing(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.page.RESUME_LIMIT_S", -1)
    silent = company.open_page()
    company.beat()
    await until(lambda: silent.closed)
    assert silent.closed == (1008, "no resume message")
    assert silent.written == []


async def test_who_is_lost_while_due_is_not_written_to(company: Company) -> None:
    wires = await company.live_pages(3)
    company.beat()
    wires[1].client.lost()
    await served(company.broadcast)
    assert [len(wire.written) for wire in wires] == [1, 0, 1]


async def test_an_error_ends_one_connection_and_no_other(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = await company.live_pages(2)

    def fail(frames: Frames) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(broken, "write", fail)
    company.beat()
    await until(lambda: sound.written and broken.closed)
    assert broken.closed == (broadcast_module.INTERNAL_ERROR, "an error of the server")
    assert "a client cannot be written to" in caplog.text


async def test_every_reader_gets_every_payload_once_and_in_order(company: Company) -> None:
    log = PayloadLog(company.broadcast)
    slow, quick = Wire(log.open_reader()), Wire(log.open_reader())
    slow.behind_since = time.monotonic()
    expected = [f"payload {number}" for number in range(350)]
    for text in expected:
        log.add(text)
    await until(lambda: quick.texts == expected)
    assert len(quick.written) == 4, "many at once"
    slow.drain()
    await until(lambda: slow.texts == expected)
    log.add("last")
    await until(lambda: slow.texts[-1] == quick.texts[-1] == "last")
    assert slow.written[-1] is quick.written[-1]


async def test_a_reader_of_payloads_that_falls_too_far_behind_is_let_go(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "MAX_WAITING_PAYLOADS", 10)
    log = PayloadLog(company.broadcast)
    slow, quick = Wire(log.open_reader()), Wire(log.open_reader())
    slow.behind_since = time.monotonic()
    for number in range(10):
        log.add(str(number))
    await until(lambda: len(quick.texts) == 10)
    assert slow.closed is None
    log.add("one too many")
    await until(lambda: slow.closed)
    assert slow.closed == (1013, "too slow a reader")
    assert len(log.readers) == 1


async def test_a_reader_that_is_behind_is_looked_at_again_though_nothing_more_comes(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast_module, "LOOK_AGAIN_S", 0.0)
    log = PayloadLog(company.broadcast)
    slow = Wire(log.open_reader())
    slow.behind_since = time.monotonic()
    log.add("the last payload")
    await served(company.broadcast)
    assert slow.closed is None
    slow.behind_since -= WRITE_LIMIT_S + 1
    await until(lambda: slow.closed)
    assert slow.closed == (1013, "too slow a reader")


async def test_payloads_that_all_have_read_take_no_memory(company: Company) -> None:
    log = PayloadLog(company.broadcast)
    wire = Wire(log.open_reader())
    before = _payloads_in_memory()
    for number in range(20_000):
        log.add(str(number))
        if number % 1_000 == 0:
            await served(company.broadcast)
    await until(lambda: len(wire.texts) == 20_000)
    assert _payloads_in_memory() - before < 10


def _payloads_in_memory() -> int:
    """Count those that something still points to, other tests' logs included."""
    gc.collect()
    return sum(type(each) is Payload for each in gc.get_objects())
