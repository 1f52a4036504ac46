"""SQL statements with a deadline."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from lookalike import deadline

STEPS: Final = 10_000
"""Instructions of SQLite's virtual machine, a millisecond or less, between two checks of the deadline."""

_UNLIMITED: Final = nullcontext()


def time_limited(connection: sqlite3.Connection) -> AbstractContextManager[None]:
    """Interrupt statements of a connection at the deadline of this thread."""
    return _limited(connection) if deadline.limited() else _UNLIMITED


@contextmanager
def _limited(connection: sqlite3.Connection) -> Iterator[None]:
    connection.set_progress_handler(deadline.passed, STEPS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)
