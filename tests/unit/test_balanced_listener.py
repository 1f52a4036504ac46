"""Connections are shared out among processes: here, listeners in one event loop, each with a socket of its own."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lookalike.server import balanced_listener
from lookalike.server.balanced_listener import PATIENCE_S, BalancedListener
from lookalike.server.connection_counts import ConnectionCounts


class Counted(asyncio.Protocol):
    """A connection that a process has."""

    def __init__(self, members: set[Counted]) -> None:
        self.members = members

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.members.add(self)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.members.discard(self)


class Process:
    """A process that accepts connections."""

    def __init__(self, listening: socket.socket, counts: ConnectionCounts, number: int) -> None:
        self.members: set[Counted] = set()
        self.listener = BalancedListener(
            listening, counts, number, own=lambda: len(self.members), protocol=lambda: Counted(self.members)
        )

    async def close(self) -> None:
        self.listener.close()
        await self.listener.wait_closed()
        for member in [*self.members]:
            assert isinstance(member.transport, asyncio.Transport)
            member.transport.abort()


@asynccontextmanager
async def listening_processes(
    count: int, kind: type[socket.socket] = socket.socket
) -> AsyncIterator[tuple[list[Process], ConnectionCounts, tuple[str, int]]]:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as first:
        counts = ConnectionCounts.create(count + 1)
        sockets = [kind(fileno=first.dup().detach()) for _ in range(count)]
        processes = [Process(each, counts, number) for number, each in enumerate(sockets, start=1)]
        try:
            yield processes, counts, first.getsockname()
        finally:
            for process, each in zip(processes, sockets, strict=True):
                each.close()  # as uvicorn does
                await process.close()
            counts.close()


async def connected(address: tuple[str, int], count: int) -> list[asyncio.StreamWriter]:
    return [writer for _, writer in await asyncio.gather(*(asyncio.open_connection(*address) for _ in range(count)))]


async def settled(processes: list[Process], total: int) -> list[int]:
    for _ in range(2000):
        if sum(len(process.members) for process in processes) == total:
            break
        await asyncio.sleep(0.005)
    return [len(process.members) for process in processes]


def test_connections_are_shared_out_and_again_after_some_have_ended() -> None:
    async def share() -> None:
        async with listening_processes(3) as (processes, _, address):
            first = await connected(address, 30)
            shares = await settled(processes, 30)
            assert max(shares) - min(shares) <= 3, shares
            for member in [*processes[0].members]:
                assert isinstance(member.transport, asyncio.Transport)
                member.transport.abort()
            while processes[0].members:
                await asyncio.sleep(0.005)
            processes[0].listener.tell()
            more = await connected(address, 10)
            after = await settled(processes, 30 - shares[0] + 10)
            assert after[0] >= 8, (shares, after)
            for writer in (*first, *more):
                writer.close()

    asyncio.run(share())


def test_a_process_that_takes_nothing_holds_connections_up_for_a_moment_only() -> None:
    async def share() -> None:
        async with listening_processes(1) as (processes, counts, address):
            counts.tell(2, 0)  # it has none, and takes none
            began = asyncio.get_running_loop().time()
            writers = [*await connected(address, 1)]
            assert await settled(processes, 1) == [1]
            writers += await connected(address, 2)
            assert await settled(processes, 3) == [3]
            assert asyncio.get_running_loop().time() - began >= 2 * PATIENCE_S
            for writer in writers:
                writer.close()

    asyncio.run(share())


def test_a_process_that_has_told_nothing_for_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balanced_listener, "PATIENCE_S", 60.0)

    async def share() -> None:
        async with listening_processes(1) as (processes, counts, address):
            now = counts.least_of_others(1)
            assert now is None
            writers = await connected(address, 5)
            assert await settled(processes, 5) == [5]
            for writer in writers:
                writer.close()

    asyncio.run(share())


class Full(socket.socket):
    """A socket of a process that cannot open another file, once."""

    refusals = 0

    def accept(self) -> tuple[socket.socket, object]:
        if not Full.refusals:
            Full.refusals += 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_a_process_without_room_for_files_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(balanced_listener, "RETRY_S", 0.05)

    async def share() -> None:
        async with listening_processes(1, Full) as (processes, _, address):
            writers = await connected(address, 2)
            assert await settled(processes, 2) == [2]
            for writer in writers:
                writer.close()

    with caplog.at_level(logging.ERROR, "lookalike.server"):
        asyncio.run(share())
    assert [record.message for record in caplog.records] == ["cannot accept connections"]
