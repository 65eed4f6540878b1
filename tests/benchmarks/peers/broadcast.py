"""The `websockets` library's own server and its `broadcast()`, without compression: `broadcast.py PORT`."""

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

from tests.benchmarks.peers.notifications import notifications


async def main(port: int) -> None:
    """Send each payload to everybody."""
    async with serve(ServerConnection.wait_closed, "127.0.0.1", port, compression=None) as server:
        async for payload in notifications():
            broadcast(server.connections, payload)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
