"""Memory budget of decoding, shared by all threads of the process.

A small file can have many pixels, so the budget bounds the memory that decoding takes, as estimated from the header.
Photos wait for memory in the order of arrival; one that needs more than the whole budget is decoded alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from lookalike.errors import PhotoError


class Budget:
    """Memory shared by photos that are being decoded. Thread-safe.

    Attributes:
        limit: Size of the budget, bytes.
        held: Estimated memory in use, bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def in_use(self, *, refuse: bool = False) -> Iterator[None]:
        """Use this budget for photos that this thread opens in the context.

        Args:
            refuse: Whether to refuse photos that need more than the budget, rather than decode them alone.
        """
        before = _IN_USE.set((self, refuse))
        try:
            yield
        finally:
            _IN_USE.reset(before)

    def take(self, needed: int) -> None:
        """Wait for memory and reserve it.

        Args:
            needed: Memory to reserve, bytes.
        """
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            while self._waiting[0] is not ticket or (self.held and self.held + needed > self.limit):
                self._changed.wait()
            self._waiting.popleft()
            self.held += needed
            self._changed.notify_all()

    def give_back(self, held: int) -> None:
        """Release memory.

        Args:
            held: Memory to release, bytes.
        """
        if held:
            with self._changed:
                self.held -= held
                self._changed.notify_all()


OF_THE_PROCESS: Final = Budget(2 << 30)
"""Budget of photos that are opened outside `Budget.in_use`."""

_IN_USE: ContextVar[tuple[Budget, bool]] = ContextVar("in_use", default=(OF_THE_PROCESS, False))
_HELD: ContextVar[list[int] | None] = ContextVar("held", default=None)


@contextmanager
def one_photo() -> Iterator[None]:
    """Hold the memory of the photo opened in the context until the context ends."""
    budget, _ = _IN_USE.get()
    held: list[int] = []
    before = _HELD.set(held)
    try:
        yield
    finally:
        _HELD.reset(before)
        budget.give_back(sum(held))


@contextmanager
def memory_for(needed: int, *, name: str) -> Iterator[None]:
    """Reserve memory for one photo while it is decoded; in `one_photo`, until that ends.

    Args:
        needed: Memory in bytes, as estimated by `memory_estimate.decoded_bytes`.
        name: Name of the photo in errors.

    Raises:
        PhotoError: The photo needs more than the budget, and `refuse` of `Budget.in_use` is set.
    """
    budget, refuse = _IN_USE.get()
    if refuse and needed > budget.limit:
        limit = f"{budget.limit / 2**20:,.0f} MiB"
        raise PhotoError(name, f"decoding it takes {needed / 2**20:,.0f} MiB, more than the {limit} allowed")
    held = _HELD.get()
    if held is None:
        with one_photo(), memory_for(needed, name=name):
            yield
        return
    if not held:  # a second photo in the context does not wait, since it could wait for itself
        budget.take(needed)
        held.append(needed)
    yield
