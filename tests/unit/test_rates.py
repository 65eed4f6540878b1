"""How much one address may do: counted, bounded, forgotten."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from webapp.access import rates
from webapp.access.crowd import Crowd, neighbourhood
from webapp.access.rates import Rate
from webapp.access.throttle import Throttle, by_account, by_address
from webapp.roles import PRINCIPAL, Principal, Role


class Clock:
    """A clock that the test sets."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_and_then_so_much_a_second() -> None:
    clock = Clock()
    rate = Rate(burst=3, per_second=2, clock=clock)
    assert [rate.spend("a") for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)]
    assert rate.spend("b") == 0, "others are not concerned"
    clock.now += 0.5
    assert [rate.spend("a") for _ in range(2)] == [0, pytest.approx(0.5)]
    clock.now += 60
    assert [rate.spend("a", cost=3), rate.spend("a")] == [0, pytest.approx(0.5)], "no more is saved than one burst"


def test_what_is_kept_of_any_number_of_strangers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_KEPT", 100)
    clock = Clock()
    rate = Rate(burst=2, per_second=1, clock=clock)
    rate.spend("early")
    clock.now += 1.5
    rate.spend("late")
    rate.spend("late")
    for number in range(300):
        rate.spend(str(number))
        assert len(rate._even_at) <= 100
    assert "early" not in rate._even_at


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("10.1.2.3", None),
        ("fd00::5", None),
        (None, "unknown"),
        ("", "unknown"),
        ("1.2.3.4, 5.6.7.8", "unknown"),
        ("\x00<script>" + "9" * 10_000, "unknown"),
    ],
)
def test_who_counts_as_one(address: str | None, name: str | None) -> None:
    assert neighbourhood(address, ("10.0.0.0/8", "fd00::5")) == name


def test_a_crowd_forgets_who_has_left() -> None:
    crowd = Crowd(most=2)
    parties = [crowd.enter(address) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", *["::1"] * 9)]
    assert [party is None for party in parties] == [False, False, True, *[False] * 10]
    for party in parties:
        if party:
            party.leave()
    assert crowd.parties == {}


async def statuses(throttle: Throttle, count: int, address: str = "192.0.2.1", **scope: Any) -> list[int]:
    """Ask so many times; return the status of each answer, and for a WebSocket the code with which it is closed."""
    sent: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.close"):
            sent.append(message.get("status") or message["code"])

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    whole = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": (address, 1)} | scope
    for _ in range(count):
        await throttle(whole, receive, send)
    return sent


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def answer(request: Request, refusal: HTTPException) -> Response:
    assert int((refusal.headers or {})["Retry-After"]) >= 1
    return PlainTextResponse(refusal.detail, refusal.status_code)


@pytest.fixture
def throttle(monkeypatch: pytest.MonkeyPatch) -> Throttle:
    """At 10 a second, which is 200 at once, for ever in the same moment."""
    throttle = Throttle(ok, answer, per_second=10, who=by_address(()))
    monkeypatch.setattr(throttle._rate, "_clock", Clock())
    return throttle


async def test_writes_and_uploads_cost_more_than_reads(throttle: Throttle) -> None:
    assert await statuses(throttle, 201) == [*[200] * 200, 429]
    assert await statuses(throttle, 51, "192.0.2.2", method="POST") == [*[200] * 50, 429]
    assert await statuses(throttle, 1, "192.0.2.2", type="websocket") == [1008]
    throttle = Throttle(ok, answer, per_second=100, who=by_address(()))
    assert await statuses(throttle, 6, "192.0.2.3", method="POST", path="/import") == [*[200] * 5, 429]


async def test_neither_probes_nor_proxies_are_asked_to_wait(throttle: Throttle) -> None:
    assert 429 not in await statuses(throttle, 300, path="/healthz")
    assert 429 not in await statuses(throttle, 300, "127.0.0.1", method="POST")


@contextmanager
def acting_for(principal: Principal) -> Iterator[None]:
    before = PRINCIPAL.set(principal)
    yield
    PRINCIPAL.reset(before)


async def test_an_account_is_counted_wherever_it_asks_from(throttle: Throttle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "_who", by_account)
    assert 429 not in await statuses(throttle, 300), "nobody"
    with acting_for(Principal(Role.VIEWER, "Ada", 7)):
        assert await statuses(throttle, 150, "127.0.0.1") + await statuses(throttle, 51) == [*[200] * 200, 429]
    with acting_for(Principal(Role.VIEWER, "Bob", 8)):
        assert await statuses(throttle, 1) == [200]
