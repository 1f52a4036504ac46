"""Table of token buckets that several processes share, so that a rate is one of the server, whichever answers."""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.reduction import DupFd
from time import monotonic
from typing import Any, Final, Protocol

from lookalike.server.rates import Rate, level

ROW: Final = struct.Struct("=Qdd")
"""A bucket: hash of its name and rate, tokens, and the time of the monotonic clock when it had them."""

ROWS: Final = 16_384
TRIED: Final = 64
"""Rows that a bucket may be in; where all are taken, it replaces the one that was used least recently."""


class Inherited(Protocol):
    """A file that a parent process gave to this one."""

    def detach(self) -> int:
        """Its number."""
        ...


class RateTable:
    """Token buckets in a file that has no name, locked at each use. Thread-safe.

    The clock is that of the machine, which all processes share. A process that dies gives the lock back.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._rows = mmap.mmap(file, ROW.size * ROWS)
        self._threads = threading.Lock()  # the lock of the file is one of processes

    @classmethod
    def create(cls) -> RateTable:
        """Create an empty table, on Linux in memory: the file system of a container may be read-only."""
        if sys.platform == "linux":
            file = os.memfd_create("lookalike-rates")
        else:
            with tempfile.TemporaryFile() as named:
                file = os.dup(named.fileno())
        os.ftruncate(file, ROW.size * ROWS)
        return cls(file)

    def __reduce__(self) -> tuple[Any, ...]:
        """Take it to a process that is being started."""
        return _opened, (DupFd(self._file),)

    def close(self) -> None:
        """Close the file."""
        self._rows.close()
        os.close(self._file)

    def bucket(self, name: str, rate: Rate) -> SharedBucket:
        """Bucket of a name; one with another rate is another bucket."""
        text = f"{rate.requests}/{rate.seconds} {name}"
        key = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") or 1
        return SharedBucket(self, key, rate)

    def take(self, key: int, rate: Rate) -> float:
        """Take a token of a bucket.

        Returns:
            0, or the seconds until there is one again.
        """
        with self._locked():
            now = monotonic()
            place, tokens, filled = self._find(key)
            tokens = level(rate, float(rate.requests) if filled is None else tokens, now - (filled or now))
            wait = 0.0 if tokens >= 1 else (1 - tokens) * rate.seconds / rate.requests
            ROW.pack_into(self._rows, place, key, tokens if wait else tokens - 1, now)
            return wait

    def _find(self, key: int) -> tuple[int, float, float | None]:
        """Place of a bucket in the table, its tokens, and the time when it had them; None if it is new."""
        oldest, at = float("inf"), 0
        for step in range(TRIED):
            place = (key + step) % ROWS * ROW.size
            found, tokens, filled = ROW.unpack_from(self._rows, place)
            if found == key:
                return place, tokens, filled
            if found == 0:
                return place, 0.0, None
            if filled < oldest:
                oldest, at = filled, place
        return at, 0.0, None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)


class SharedBucket:
    """Token bucket in a table.

    Attributes:
        rate: Its rate.
    """

    def __init__(self, table: RateTable, key: int, rate: Rate) -> None:
        self.rate = rate
        self._table, self._key = table, key

    def take(self) -> float:
        """Take a token.

        Returns:
            0, or the seconds until there is one again.
        """
        return self._table.take(self._key, self.rate)


def _opened(file: Inherited) -> RateTable:
    """Table of a file that was brought to this process."""
    return RateTable(file.detach())
