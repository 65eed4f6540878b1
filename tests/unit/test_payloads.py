"""Who reads raw notifications: each once and in order, and nothing for those who have had it."""

import gc
import time

import pytest

from tests.unit.company import Company, Wire, served
from tests.waiting import until
from webapp.live import broadcast as broadcast_module
from webapp.sockets import payloads
from webapp.sockets.client import WRITE_LIMIT_S
from webapp.sockets.payloads import Payload, PayloadLog


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
    for number in range(5_000):
        log.add(str(number))
        if number % 1_000 == 0:
            await served(company.broadcast)
    await until(lambda: len(wire.texts) == 5_000)
    assert _payloads_in_memory() - before < 10


def _payloads_in_memory() -> int:
    """Count those that something still points to, other tests' logs included."""
    gc.collect()
    return sum(type(each) is Payload for each in gc.get_objects())
