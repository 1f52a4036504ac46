"""SQL that stops when its time is up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from lookalike import deadline

STEPS: Final = 10_000
"""Steps of SQLite's machine, a millisecond or less, between two looks at the clock."""


_UNLIMITED: Final = nullcontext()


def stopping(connection: sqlite3.Connection) -> AbstractContextManager[None]:
    """Have SQL on a connection stop when the time of this thread's work is up."""
    return _limited(connection) if deadline.limited() else _UNLIMITED


@contextmanager
def _limited(connection: sqlite3.Connection) -> Iterator[None]:
    connection.set_progress_handler(deadline.passed, STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
