"""Table of token buckets that several processes share, so that a rate is one of the server, whichever answers."""

from __future__ import annotations

import fcntl
import hashlib
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from lookalike.server.rates import Rate, level
from lookalike.server.shared_bytes import SharedBytes

ROW: Final = struct.Struct("=Qdd")
"""A bucket: hash of its name and rate, tokens, and the time of the monotonic clock when it had them."""

ROWS: Final = 16_384
TRIED: Final = 64
"""Rows that a bucket may be in; where all are taken, it replaces the one that was used least recently."""


class RateTable(SharedBytes):
    """Token buckets in shared memory, locked at each use. Thread-safe.

    The clock is that of the machine, which all processes share. A process that dies gives the lock back.
    """

    def __init__(self, file: int) -> None:
        super().__init__(file)
        self._threads = threading.Lock()  # the lock of the file is one of processes

    @classmethod
    def create(cls) -> RateTable:
        """Create an empty table."""
        return cls.of_size(ROW.size * ROWS)

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
            ROW.pack_into(self.bytes, place, key, tokens if wait else tokens - 1, now)
            return wait

    def _find(self, key: int) -> tuple[int, float, float | None]:
        """Place of a bucket in the table, its tokens, and the time when it had them; None if it is new."""
        oldest, at = float("inf"), 0
        for step in range(TRIED):
            place = (key + step) % ROWS * ROW.size
            found, tokens, filled = ROW.unpack_from(self.bytes, place)
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
            fcntl.lockf(self.file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self.file, fcntl.LOCK_UN)


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
