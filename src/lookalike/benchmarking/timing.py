"""Two ways of doing the same, timed by turns so that both meet the machine in the same moods."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True)
class Timing:
    """Durations of the calls of one way.

    Attributes:
        calls_ms: Milliseconds of each call.
    """

    calls_ms: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """Half of the calls took at most this long."""
        return float(np.median(self.calls_ms))

    @property
    def p99_ms(self) -> float:
        """99 of 100 calls took at most this long."""
        return float(np.percentile(self.calls_ms, 99))


@dataclass(frozen=True, slots=True)
class TimedCall:
    """One way of doing something.

    Attributes:
        call: Does it for the query of a number.
        calls: How often it is timed in all, with the numbers from 0.
        timing: Filled in by `time_in_turns`.
    """

    call: Callable[[int], object]
    calls: int
    timing: Timing = field(default_factory=Timing)


def time_in_turns(*ways: TimedCall, rounds: int = 10) -> None:
    """Time several ways by turns: in every round each does its share, after one call that warms it up."""
    for turn in range(rounds):
        for way in ways:
            numbers = range(way.calls * turn // rounds, way.calls * (turn + 1) // rounds)
            if numbers:
                way.call(numbers[0])
            for number in numbers:
                began = time.perf_counter()
                way.call(number)
                way.timing.calls_ms.append(1000 * (time.perf_counter() - began))


def time_once(call: Callable[[], object]) -> Timing:
    """Time something that cannot be repeated."""
    began = time.perf_counter()
    call()
    return Timing([1000 * (time.perf_counter() - began)])
