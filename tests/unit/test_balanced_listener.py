"""Connections are shared out among processes: here, listeners in one event loop, each with a socket of its own."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, cast

import pytest

from lookalike.server import balanced_listener, connection_counts
from lookalike.server.balanced_listener import LOOKS, PAUSE_S, BalancedListener
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


class Looked:
    """Pending connections, as a process looks at them."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look

    def poll(self, timeout: int) -> object:
        return self._look()


class Process:
    """A process that accepts connections; `others` is how many it has beside those of the test."""

    def __init__(self, listening: socket.socket, counts: ConnectionCounts, number: int) -> None:
        self.members: set[Counted] = set()
        self.others = 0
        self.refusals = 0
        self.listener = BalancedListener(
            listening, counts, number, own=lambda: self.others + len(self.members), protocol=self.make
        )

    def make(self) -> Counted:
        if self.refusals:
            self.refusals -= 1
            raise RuntimeError("no protocol")
        return Counted(self.members)

    async def close(self) -> None:
        self.listener.close()
        await self.listener.wait_closed()
        for member in [*self.members]:
            assert isinstance(member.transport, asyncio.Transport)
            member.transport.abort()


@asynccontextmanager
async def listening_processes(
    count: int, kind: type[socket.socket] = socket.socket
) -> AsyncIterator[tuple[list[Process], ConnectionCounts, Callable[[int], Awaitable[None]]]]:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as first:
        counts = ConnectionCounts.create(count + 1)
        sockets = [kind(fileno=first.dup().detach()) for _ in range(count)]
        processes = [Process(each, counts, number) for number, each in enumerate(sockets, start=1)]
        clients: list[asyncio.StreamWriter] = []

        async def connect(count: int) -> None:
            opened = await asyncio.gather(*(asyncio.open_connection(*first.getsockname()) for _ in range(count)))
            clients.extend(writer for _, writer in opened)

        try:
            yield processes, counts, connect
        finally:
            for client in clients:
                client.close()
            for process, each in zip(processes, sockets, strict=True):
                await process.close()
                each.close()
            counts.close()


async def settled(processes: list[Process], total: int) -> list[int]:
    for _ in range(2000):
        if sum(len(process.members) for process in processes) == total:
            break
        await asyncio.sleep(0.005)
    return [len(process.members) for process in processes]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave connections to others until they take them, though they have told nothing for long."""
    monkeypatch.setattr(balanced_listener, "LOOKS", 1_000_000)
    monkeypatch.setattr(connection_counts, "HEARD_S", 600.0)


@pytest.mark.usefixtures("patient")
def test_processes_with_fewer_connections_take_the_new_ones() -> None:
    async def share() -> None:
        async with listening_processes(3) as (processes, counts, connect):
            processes[0].others = 10
            processes[0].listener.tell()
            await connect(16)
            assert (await settled(processes, 16))[0] == 0
            processes[0].others = 0
            processes[0].listener.tell()
            await connect(6)
            assert (await settled(processes, 22))[0] >= 5
            await asyncio.sleep(0.01)
            assert [counts.least_of_others(number) for number in (1, 2, 3)] == [
                min(len(other.members) for other in processes if other is not process) for process in processes
            ]

    asyncio.run(share())


def test_connections_that_are_being_accepted_count() -> None:
    async def share() -> None:
        loop, go = asyncio.get_running_loop(), asyncio.Event()
        accept = loop.connect_accepted_socket

        async def slowly(*given: Any) -> Any:
            await go.wait()
            return await accept(*given)

        loop.connect_accepted_socket = slowly  # type: ignore[method-assign]
        async with listening_processes(1) as (processes, counts, connect):
            await connect(3)
            until = loop.time() + 10
            while counts.least_of_others(2) != 3 and loop.time() < until:
                await asyncio.sleep(0.005)
            begun = len(processes[0].members)
            go.set()
            assert (begun, loop.time() < until) == (0, True)
            assert await settled(processes, 3) == [3]
            await asyncio.sleep(0.01)
            assert counts.least_of_others(2) == 3

    asyncio.run(share())


def test_a_process_that_takes_nothing_holds_connections_up_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_counts, "HEARD_S", 60.0)

    async def share() -> None:
        async with listening_processes(1) as (processes, counts, connect):
            counts.tell(2, 0)  # it has none, and takes none
            loop = asyncio.get_running_loop()
            began = loop.time()
            await connect(1)
            assert await settled(processes, 1) == [1]
            await connect(1)
            assert await settled(processes, 2) == [2]
            assert loop.time() - began >= LOOKS * PAUSE_S
            looks: list[int] = []
            poll = processes[0].listener._pending
            processes[0].listener._pending = cast(Any, Looked(lambda: looks.append(1) or poll.poll(0)))
            await connect(60)
            assert await settled(processes, 62) == [62]
            assert len(looks) < 60 + LOOKS  # not as many for each

    asyncio.run(share())


def test_a_process_that_has_told_nothing_for_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balanced_listener, "LOOKS", 1_000_000)

    async def share() -> None:
        async with listening_processes(1) as (processes, counts, connect):
            with monkeypatch.context() as earlier:
                earlier.setattr(connection_counts, "monotonic", lambda: time.monotonic() - connection_counts.HEARD_S)
                counts.tell(2, 0)
            await connect(5)
            assert await settled(processes, 5) == [5]

    asyncio.run(share())


def test_nobody_waits_for_a_process_that_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balanced_listener, "LOOKS", 1_000_000)

    async def share() -> None:
        async with listening_processes(2) as (processes, counts, connect):
            processes[0].listener.close()
            processes[0].listener.tell()  # as it does when one of its connections ends
            assert counts.told(1) is None
            await connect(5)
            assert await settled(processes, 5) == [0, 5]

    asyncio.run(share())


def test_no_process_reads_a_part_of_what_another_one_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_counts, "HEARD_S", 600.0)
    counts = ConnectionCounts.create(2)
    counts.tell(1, 1)
    writer = os.fork()
    if not writer:
        try:
            for count in itertools.count(1):
                counts.tell(1, count)
        finally:
            os._exit(0)
    try:
        while counts.least_of_others(2) == 1:  # until it writes
            pass
        for _ in range(100_000):
            assert counts.told(1)
            assert counts.least_of_others(2)
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        counts.close()


class Refusing(socket.socket):
    """A socket that accepts nothing once."""

    reasons: ClassVar[list[int]] = []

    def accept(self) -> tuple[socket.socket, object]:
        if Refusing.reasons:
            raise OSError(number := Refusing.reasons.pop(), os.strerror(number))
        return super().accept()


def test_a_process_without_room_for_files_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balanced_listener, "RETRY_S", 0.05)
    told: list[float | None] = []

    async def share() -> None:
        async with listening_processes(1, Refusing) as (processes, counts, connect):
            monkeypatch.setattr(balanced_listener.LOG, "error", lambda *_, **__: told.append(counts.told(1)))
            Refusing.reasons.append(errno.EMFILE)
            await connect(2)
            assert await settled(processes, 2) == [2]
            assert counts.told(1)

    asyncio.run(share())
    assert told == [None]  # nobody waits for it meanwhile


def test_a_connection_that_cannot_be_had_is_told_and_the_next_ones_are_accepted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def share() -> None:
        async with listening_processes(1, Refusing) as (processes, counts, connect):
            processes[0].others = 5
            counts.tell(2, 0)  # so that it looks again before it accepts
            Refusing.reasons.append(errno.EPERM)
            processes[0].refusals = 1
            await connect(4)
            assert await settled(processes, 3) == [3]

    with caplog.at_level(logging.ERROR):
        asyncio.run(share())
    told = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert sorted(told) == ["[Errno 1] Operation not permitted", "no protocol"]


def test_a_connection_that_begins_when_the_process_stops_is_closed() -> None:
    async def share() -> None:
        async with listening_processes(1) as (processes, _, _):
            listener = processes[0].listener
            with socket.create_connection(listener._listening.getsockname()) as client:
                while not listener._beginning:
                    await asyncio.sleep(0)
                listener.close()
                await listener.wait_closed()
                client.setblocking(False)
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""

    asyncio.run(asyncio.wait_for(share(), 60))


def test_one_process_needs_nothing_that_windows_lacks() -> None:
    windows = "import sys, multiprocessing.reduction as shared; del shared.DupFd; sys.modules['fcntl'] = None"
    subprocess.run([sys.executable, "-c", f"{windows}; import lookalike.server.run"], check=True)
