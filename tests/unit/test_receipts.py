"""Which page is asked for a receipt, when, and whose word counts: pages without a server, no database."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.unit.company import Company, Wire, served
from tests.unit.shelf import change, settled
from tests.waiting import until
from webapp.live import receipts as receipts_module
from webapp.live.changes import Changes
from webapp.live.receipts import MOST_OPEN, Receipts
from webapp.sockets.client import MAX_FRAMES

TOKEN = re.compile(r'name="receipt" value="([^"]+)"')
EVENT = Changes((change(),))
UNTOUCHED = Changes((change("insert"),))  # nothing that a shelf shows


@asynccontextmanager
async def company_of(pages: int) -> AsyncIterator[tuple[Company, list[Wire]]]:
    """Give pages that show all there is."""
    company = Company()
    running = asyncio.create_task(company.broadcast.run())
    try:
        yield company, await company.live_pages(pages)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def change_and_ask(company: Company, quantity: int) -> None:
    """Put a quantity on the shelf, and ask for a receipt as soon as that was heard."""
    company.receipts._ask_at = 0.0
    await change_soon(company, quantity)


async def change_soon(company: Company, quantity: int) -> None:
    """Put a quantity on the shelf, whether or not it is time to ask again."""
    company.shelf.quantity = quantity
    company.view._next_refresh_at = 0.0
    company.view.hear(EVENT)
    company.receipts.choose(EVENT, company.pages)
    await settled(company.view)
    await served(company.broadcast)


async def serve(company: Company, wire: Wire) -> None:
    wire.client.not_before = 0.0
    company.broadcast.wake(company.pages)
    await served(company.broadcast)


def tokens(*wires: Wire) -> list[str]:
    return [token for wire in wires for text in wire.texts for token in TOKEN.findall(text)]


def say(wire: Wire, token: object) -> None:
    wire.client.spend_frame()
    wire.client.received(json.dumps({"receipt": token, "headers": {}}))


def taken(receipts: Receipts) -> int:
    return receipts._taken.qsize()


async def test_one_page_of_all_is_asked_in_a_frame_of_its_own_behind_the_one_that_all_get() -> None:
    async with company_of(100) as (company, wires):
        await change_and_ask(company, 1002)
        (asked,) = [wire for wire in wires if tokens(wire)]
        shared, own = asked.texts
        assert all(wire.texts == [shared] for wire in wires if wire is not asked)
        assert TOKEN.search(own)
        assert not TOKEN.search(shared)


async def test_a_page_is_asked_behind_the_state_that_has_the_change_and_not_behind_an_older_one() -> None:
    async with company_of(1) as (company, (wire,)):
        shelf, view = company.shelf, company.view
        before, after = asyncio.Event(), asyncio.Event()
        shelf.gate, shelf.quantity = before, 1002
        view._next_refresh_at = 0.0
        view.touch()
        await until(lambda: shelf.running)  # what is being read now does not have what comes next
        shelf.gate, shelf.quantity = after, 1003
        view.hear(EVENT)
        company.receipts.choose(EVENT, company.pages)
        before.set()
        await until(lambda: shelf.loads == 3)
        view._expected_until = float("-inf")  # the page loses patience with it
        await serve(company, wire)
        assert ">1002<" in wire.texts[-1]
        after.set()
        await settled(view)
        await serve(company, wire)
        assert ">1003<" in wire.texts[-2]
        assert TOKEN.search(wire.texts[-1])


async def test_who_does_not_show_a_change_is_not_asked() -> None:
    async with company_of(1) as (company, (wire,)):
        company.view.hear(UNTOUCHED)
        company.receipts.choose(UNTOUCHED, company.pages)
        await company.put(1002)
        await serve(company, wire)
        assert ">1002<" in "".join(wire.texts)
        assert tokens(wire) == []


async def test_at_most_one_page_a_second_is_asked() -> None:
    async with company_of(3) as (company, wires):
        await change_and_ask(company, 1002)
        for quantity in (1003, 1004):
            for wire in wires:
                wire.client.not_before = 0.0
            await change_soon(company, quantity)
        assert len(tokens(*wires)) == 1


async def test_a_receipt_counts_once_and_only_from_the_page_that_was_asked() -> None:
    async with company_of(2) as (company, wires):
        await change_and_ask(company, 1002)
        asked, other = sorted(wires, key=lambda wire: not tokens(wire))
        (token,) = tokens(asked)
        say(other, token)
        assert taken(company.receipts) == 0, "a token is worth nothing to others"
        say(asked, token)
        say(asked, token)
        assert taken(company.receipts) == 1
        assert company.receipts.refused == 2


@pytest.mark.parametrize("forged", ["", "x" * 7_000, None, 7, [], {"a": 1}, ["x"], True])
async def test_what_nobody_asked_for_is_dropped(forged: object) -> None:
    async with company_of(1) as (company, (wire,)):
        await change_and_ask(company, 1002)
        say(wire, forged)
        assert (taken(company.receipts), company.receipts.refused, wire.closed) == (0, 1, None)


async def test_a_late_receipt_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with company_of(1) as (company, (wire,)):
        await change_and_ask(company, 1002)
        monkeypatch.setattr(receipts_module, "LATE_AFTER_S", -1.0)
        say(wire, *tokens(wire))
        assert (taken(company.receipts), company.receipts.refused) == (0, 1)


async def test_pages_that_never_answer_are_forgotten() -> None:
    async with company_of(1) as (company, (wire,)):
        for quantity in range(1002, 1002 + MOST_OPEN + 10):
            wire.client.not_before = 0.0
            await change_and_ask(company, quantity)
        first, *_, last = tokens(wire)
        assert len(company.receipts._open) == MOST_OPEN
        say(wire, first)
        assert taken(company.receipts) == 0
        say(wire, last)
        assert taken(company.receipts) == 1


async def test_answering_spends_none_of_the_frames_that_a_page_may_send() -> None:
    async with company_of(1) as (company, (wire,)):
        for quantity in range(1002, 1002 + MAX_FRAMES + 10):
            wire.client.not_before = 0.0
            await change_and_ask(company, quantity)
            say(wire, tokens(wire)[-1])
            company.receipts._taken.get_nowait()
        assert len(tokens(wire)) == MAX_FRAMES + 10
        assert company.receipts.refused == 0
