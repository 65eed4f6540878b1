"""What several unit tests need."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.company import Company


@pytest.fixture
async def company() -> AsyncIterator[Company]:
    company = Company()
    running = asyncio.create_task(company.broadcast.run())
    yield company
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
