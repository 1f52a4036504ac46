"""Timing of several calls by turns, so that changes of the machine's load affect all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True)
class Timing:
    """Durations of repeated calls.

    Attributes:
        calls_ms: Milliseconds of each call.
    """

    calls_ms: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        """Median duration."""
        return float(np.median(self.calls_ms))

    @property
    def p99_ms(self) -> float:
        """99th percentile of the durations."""
        return float(np.percentile(self.calls_ms, 99))


@dataclass(frozen=True, slots=True)
class TimedCall:
    """A function to time.

    Attributes:
        call: Function of the number of a query.
        calls: Number of calls, with the numbers from 0.
        timing: Result, filled in by `time_in_turns`.
    """

    call: Callable[[int], object]
    calls: int
    timing: Timing = field(default_factory=Timing)


def time_in_turns(*ways: TimedCall, rounds: int = 10) -> None:
    """Time several functions by turns: each makes its share of calls in every round, after one warm-up call."""
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
    """Time a call that cannot be repeated."""
    began = time.perf_counter()
    call()
    return Timing([1000 * (time.perf_counter() - began)])
