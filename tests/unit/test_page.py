"""What one page is sent, how often, and what comes together."""

import json
import time

import pytest

from tests.unit.company import Company, resume, served
from tests.unit.shelf import settled
from tests.waiting import until
from webapp.rendering import build


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
    monkeypatch.setattr("webapp.live.live_view.TOGETHER_S", 60.0)
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
    monkeypatch.setattr("webapp.live.page.RESUME_LIMIT_S", -1)
    silent = company.open_page()
    company.beat()
    await until(lambda: silent.closed)
    assert silent.closed == (1008, "no resume message")
    assert silent.written == []
