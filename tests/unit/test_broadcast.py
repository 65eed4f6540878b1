"""Who is written to, and what is kept for whom: connections that only count."""

import asyncio
import gc
import time
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise

import pytest

from tests.unit.company import Company, served
from tests.waiting import until
from webapp.live import broadcast as broadcast_module
from webapp.live.broadcast import SLICE
from webapp.live.snapshots import RECENT_SNAPSHOTS, Snapshots
from webapp.sockets.client import WRITE_LIMIT_S, Frames


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


async def test_whoever_had_its_share_gets_the_frame_that_the_others_had(company: Company) -> None:
    late, other = await company.live_pages(2)
    late.client.not_before = time.monotonic() + 0.1
    await company.put(2)
    await until(lambda: other.written)
    company.broadcast.wake([other.client])  # another round in between
    await served(company.broadcast)
    await until(lambda: late.written)
    assert late.written[0] is other.written[0]


async def test_what_pages_get_that_show_the_same_is_found_out_once_a_slice(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    wires = await company.live_pages(10 * SLICE)
    looks: list[str] = []
    frame_since = Snapshots.frame_since

    def counted(snapshots: Snapshots, revision: str) -> tuple[str, str]:
        looks.append(revision)
        return frame_since(snapshots, revision)

    monkeypatch.setattr(Snapshots, "frame_since", counted)
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
