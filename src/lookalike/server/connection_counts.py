"""Open connections of the processes of a server, by which each knows whether it has more than others."""

from __future__ import annotations

import struct
from time import monotonic
from typing import Final

from lookalike.server.shared_bytes import SharedBytes

ROW: Final = struct.Struct("=qd")
"""Open connections of a process, and the time of the monotonic clock when it told them."""

HEARD_S: Final = 1.0
"""Seconds after which a process that has told nothing is taken for one that accepts no connections."""


class ConnectionCounts(SharedBytes):
    """Open connections by process; each writes its own row only."""

    @classmethod
    def create(cls, processes: int) -> ConnectionCounts:
        """Create the table of processes of which none serves yet."""
        return cls.of_size(ROW.size * processes)

    def tell(self, number: int, count: int) -> None:
        """Tell the open connections of a process; to be called at least every `HEARD_S` seconds.

        Args:
            number: Number of the process, from 1.
            count: Its open connections.
        """
        ROW.pack_into(self.bytes, (number - 1) * ROW.size, count, monotonic())

    def told(self, number: int) -> float:
        """When a process last told its open connections, of the monotonic clock; 0 if it never did."""
        _, told = ROW.unpack_from(self.bytes, (number - 1) * ROW.size)
        return float(told)

    def least_of_others(self, number: int) -> int | None:
        """Fewest open connections of the other processes that serve; None if there are none."""
        now = monotonic()
        rows = enumerate(ROW.iter_unpack(self.bytes), start=1)
        return min((count for each, (count, told) in rows if each != number and now - told < HEARD_S), default=None)
