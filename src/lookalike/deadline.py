"""How long a piece of work may take: what can take long asks now and then, and stops when it has had its time.

A thread cannot be stopped from outside, so what scans rows or runs SQL looks at the clock itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

from lookalike.errors import LookalikeError


class DeadlineError(LookalikeError):
    """A piece of work has had its time."""

    code = "timeout"


_END: ContextVar[float | None] = ContextVar("end", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Have this thread's work stop after some time; an earlier end that is set already stays."""
    end, before = monotonic() + seconds, _END.get()
    token = _END.set(end if before is None else min(before, end))
    try:
        yield
    finally:
        _END.reset(token)


def limited() -> bool:
    """Whether this thread's work has an end at all."""
    return _END.get() is not None


def passed() -> bool:
    """Whether the time of this thread's work is up."""
    end = _END.get()
    return end is not None and monotonic() > end


def check() -> None:
    """Stop when the time of this thread's work is up.

    Raises:
        DeadlineError: It is.
    """
    if passed():
        raise DeadlineError(
            "this takes too long among so many items, and was stopped; ask for less, or by a simpler filter"
        )
