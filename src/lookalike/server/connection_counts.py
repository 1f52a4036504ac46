"""Open connections of the processes of a server, by which each knows whether it has more than others."""

from __future__ import annotations

from time import monotonic
from typing import Final

from lookalike.server.shared_bytes import SharedBytes

NUMBER: Final = 8
"""Bytes of a count and of a time: each is written at once, so that no process reads a part of one."""

HEARD_S: Final = 1.0
"""Seconds after which a process that has told nothing is taken for one that accepts no connections."""


class ConnectionCounts(SharedBytes):
    """Open connections by process, and the times when they were told.

    Each process writes its own, and the supervisor withdraws those of one that has ended.
    """

    def __init__(self, file: int) -> None:
        super().__init__(file)
        half = len(self.bytes) // 2
        view = memoryview(self.bytes)
        self._counts, self._told = view[:half].cast("q"), view[half:].cast("d")
        view.release()

    @classmethod
    def create(cls, processes: int) -> ConnectionCounts:
        """Create the table of processes of which none serves yet."""
        return cls.of_size(2 * NUMBER * processes)

    def tell(self, number: int, count: int) -> None:
        """Tell the open connections of a process; to be called at least every `HEARD_S` seconds.

        Args:
            number: Number of the process, from 1.
            count: Its open connections.
        """
        self._counts[number - 1] = count
        self._told[number - 1] = monotonic()

    def withdraw(self, number: int) -> None:
        """Tell that a process accepts no connections."""
        self._told[number - 1] = 0.0

    def told(self, number: int) -> float | None:
        """When a process last told its connections, of the monotonic clock; None if it accepts none."""
        return self._told[number - 1] or None

    def least_of_others(self, number: int) -> int | None:
        """Fewest open connections of the other processes that accept some; None if there are none."""
        now = monotonic()
        rows = enumerate(zip(self._counts, self._told, strict=True), start=1)
        return min((count for each, (count, told) in rows if each != number and now - told < HEARD_S), default=None)

    def close(self) -> None:
        """Close the file in this process."""
        self._counts.release()
        self._told.release()
        super().close()
