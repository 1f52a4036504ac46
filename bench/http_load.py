"""HTTP load for `bench/serve.py`: prepared requests on persistent connections, in a closed or an open loop."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

BOUNDARY = "bench"


@dataclass
class Load:
    """Results of a load.

    Attributes:
        statuses: Number of answers by HTTP status; 0 for broken connections.
        seconds: Latencies of answers with status 200, in seconds.
        wall: Duration of the load, in seconds.
        client: Processor time of this process, in seconds.
        server: Processor time of the server, in seconds.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    client: float = 0.0
    server: float = 0.0

    @property
    def failed(self) -> int:
        """Number of requests with neither status 200 nor 429: errors, and broken connections."""
        return sum(self.statuses.values()) - self.statuses[200] - self.statuses[429]

    @property
    def rate(self) -> float:
        """Answers with status 200 per second."""
        return self.statuses[200] / self.wall

    def quantile(self, share: float) -> float:
        """Quantile of the latencies, in milliseconds."""
        return float(np.quantile(self.seconds, share)) * 1000

    def told(self) -> Latencies:
        """Rate and latencies."""
        return Latencies(self.rate, self.quantile(0.5), self.quantile(0.99), self.statuses[429])


@dataclass
class Latencies:
    """Rate and latencies of a load.

    Attributes:
        searches_per_s: Answers with status 200 per second.
        p50_ms: Median latency, in milliseconds.
        p99_ms: 99th percentile, in milliseconds.
        refused: Number of answers with status 429.
    """

    searches_per_s: float
    p50_ms: float
    p99_ms: float
    refused: int


def requests_of(photos: Sequence[bytes], *, port: int, garment: str) -> list[bytes]:
    """Return the bytes of a search request for each photo."""
    made = []
    for photo in photos:
        part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        head = f'{part}"garment"\r\n\r\n{garment}\r\n{part}"photo"; filename="q.jpg"\r\n\r\n'.encode()
        body = head + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
        made.append(
            f"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode()
            + body
        )
    return made


class Connection:
    """A persistent connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request, and return the status of its answer, or 0 if the connection broke."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
            reader, writer = self._streams
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(found[1]) if found else 0)
            return int(head[9:12])
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def closed_loop(requests: Sequence[bytes], *, port: int, clients: int, seconds: float, most: int = 0) -> Load:
    """Send requests from clients that wait for each answer, until time is up or `most` were answered."""
    load, until = Load(), time.perf_counter() + seconds
    asked = 0

    async def client(number: int) -> None:
        nonlocal asked
        connection, turn = Connection(port), number
        while time.perf_counter() < until and (not most or asked < most):
            asked += 1
            started = time.perf_counter()
            status = await connection.ask(requests[turn % len(requests)])
            load.statuses[status] += 1
            if status == 200:
                load.seconds.append(time.perf_counter() - started)
            elif status == 429:
                await asyncio.sleep(0.05)  # less than the server's Retry-After, but not at once
            turn += clients
        connection.close()

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client(number) for number in range(clients)))
    load.wall, load.client = time.perf_counter() - began, time.process_time() - cpu
    return load


async def open_loop(requests: Sequence[bytes], *, port: int, rate: float, seconds: float, even: bool) -> Load:
    """Send requests at a rate, evenly spaced or at random times, without waiting; each is timed from when it is due."""
    load, chance = Load(), random.Random(1)
    free: list[Connection] = []

    async def ask(request: bytes, due: float) -> None:
        connection = free.pop() if free else Connection(port)
        status = await connection.ask(request)
        load.statuses[status] += 1
        if status == 200:
            load.seconds.append(time.perf_counter() - due)
        free.append(connection)

    began, cpu = time.perf_counter(), time.process_time()
    due, running = began, []
    while due < began + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        running.append(asyncio.create_task(ask(random.Random(len(running)).choice(requests), due)))
        due += 1 / rate if even else chance.expovariate(rate)
    await asyncio.gather(*running)
    load.wall, load.client = time.perf_counter() - began, time.process_time() - cpu
    for connection in free:
        connection.close()
    return load
