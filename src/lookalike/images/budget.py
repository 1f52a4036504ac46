"""Memory that photos being decoded may hold at one time, over all threads of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def memory_for(needed: int, *, name: str) -> Iterator[None]:
    """Hold memory for one photo while it is decoded.

    Args:
        needed: Bytes, as `memory.decoded_bytes` estimates them.
        name: What errors call the photo.
    """
    yield
