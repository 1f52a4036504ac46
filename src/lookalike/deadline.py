"""Deadlines: long computations check the time regularly, and stop when it is up.

A thread cannot be stopped from outside, so scans and SQL statements check the deadline themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

from lookalike.errors import LookalikeError


class DeadlineError(LookalikeError):
    """The deadline of a computation has passed."""

    code = "timeout"


_END: ContextVar[float | None] = ContextVar("end", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Set a deadline for this thread; an earlier one stays."""
    end, before = monotonic() + seconds, _END.get()
    token = _END.set(end if before is None else min(before, end))
    try:
        yield
    finally:
        _END.reset(token)


@contextmanager
def lifted() -> Iterator[None]:
    """Have no deadline within a context, for work that later computations need, too."""
    token = _END.set(None)
    try:
        yield
    finally:
        _END.reset(token)


def limited() -> bool:
    """Whether this thread has a deadline."""
    return _END.get() is not None


def passed() -> bool:
    """Whether the deadline of this thread has passed."""
    end = _END.get()
    return end is not None and monotonic() > end


def check() -> None:
    """Raise when the deadline of this thread has passed.

    Raises:
        DeadlineError: The deadline has passed.
    """
    if passed():
        raise DeadlineError(
            "this takes too long among so many items, and was stopped; request less, or use a simpler filter"
        )
