"""Keeps the embedded PostgreSQL up: any process that uses it starts it again when it has ended by force."""

import asyncio
import logging
from collections.abc import Callable

from webapp.live.feed import pause_s
from webapp.postgres.embedded import EmbeddedServer
from webapp.settings import SetupError

logger = logging.getLogger(__name__)

LOOK_S = 0.5


async def keep_up(server: EmbeddedServer, is_fresh: Callable[[], bool]) -> None:
    """Start the server again, for ever. It costs nothing while the change feed, which would miss it first, is fresh."""
    failures = 0
    while True:
        await asyncio.sleep(LOOK_S + pause_s(failures))
        if is_fresh():
            continue
        try:
            if await asyncio.to_thread(server.revive):
                logger.warning("the embedded PostgreSQL had ended; it runs again")
            failures = 0
        except SetupError as error:
            failures += 1
            if failures.bit_count() == 1:
                logger.error("the embedded PostgreSQL has ended and does not come back: %s", error)
