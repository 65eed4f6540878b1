"""The doorkeeper's own pace; what it sees is tested with the accounts."""

import asyncio
import time
from unittest.mock import AsyncMock, Mock

import pytest

from webapp.access.doorkeeper import PAUSE_S, Doorkeeper
from webapp.live.changes import AccountsChanged


async def test_a_flood_of_hints_is_looked_after_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    doorkeeper = Doorkeeper(Mock())
    looks = AsyncMock()
    monkeypatch.setattr(doorkeeper, "look", looks)
    began_at = time.monotonic()
    running = asyncio.create_task(doorkeeper.run())
    for _ in range(50):
        doorkeeper.hear(AccountsChanged())
        await asyncio.sleep(0.005)
    running.cancel()
    assert 1 <= looks.await_count <= 1 + (time.monotonic() - began_at) / PAUSE_S
