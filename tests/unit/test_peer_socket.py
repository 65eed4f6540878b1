"""A peer over a real socket: what the kernel takes, and when."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.protocol import SERVER, Protocol

from tests.unit.wire import MAX_BYTES, Hearer
from tests.waiting import until
from webapp.sockets.client import Frames
from webapp.sockets.peer import Limits, Peer


@asynccontextmanager
async def over_a_socket(pair: tuple[socket.socket, socket.socket]) -> AsyncIterator[tuple[Peer, socket.socket]]:
    """Give a peer with a real transport over one of two sockets, and the other one."""
    ours, theirs = pair
    ours.settimeout(0)
    theirs.settimeout(5)
    with theirs:
        transport, _ = await asyncio.get_running_loop().connect_accepted_socket(asyncio.Protocol, ours)
        peer = Peer(transport, Hearer(), set(), Limits(MAX_BYTES, None))
        peer.take_over(Protocol(SERVER), [])
        yield peer, theirs
        transport.abort()
        await asyncio.sleep(0)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connecting = socket.create_connection(listening.getsockname())
        return listening.accept()[0], connecting


async def test_what_does_not_fit_into_the_kernel_follows_in_order() -> None:
    async with over_a_socket(tcp_pair()) as (peer, theirs):
        for _ in range(20):
            written = received = b""
            while peer.behind_since is None:
                frames = Frames.of(f"{len(written)}" + "x" * 5_000)
                peer.write(frames)
                written += frames.wire
            while len(received) < len(written):
                received += await asyncio.to_thread(theirs.recv, 1 << 20)
            assert received == written
            await until(lambda: peer.behind_since is None)


async def test_who_has_not_taken_the_very_last_byte_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async with over_a_socket(socket.socketpair()) as (peer, _):
        for size in (4_096, 1):
            with suppress(BlockingIOError):
                while True:
                    os.write(peer._fd, b"x" * size)
        monkeypatch.setattr("webapp.sockets.peer.os.write", lambda _, data: len(data) - 1)
        peer.write(Frames.of("x"))
        assert peer.behind_since is not None


async def test_nothing_is_written_to_the_number_of_a_socket_that_is_gone() -> None:
    async with over_a_socket(socket.socketpair()) as (peer, theirs):
        number = peer._fd
        theirs.close()
        await until(lambda: peer._transport.get_extra_info("socket").fileno() < 0)
        another, end = socket.socketpair()
        with another, end:
            assert another.fileno() == number
            with suppress(RuntimeError):  # the transport may say that it has ended
                peer.write(Frames.of("x"))
            end.settimeout(0)
            with pytest.raises(BlockingIOError):
                end.recv(1)
