"""What SQLite complains about, in our own errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lookalike import deadline
from lookalike.errors import GalleryDamagedError, LookalikeError, StorageFailedError, StorageFullError, UsageError
from lookalike.gallery.checksums import WAY_OUT

OWN_BUGS: Final = ("syntax error", "no such column", "no such function", "transaction")
"""What SQLite says of statements that cannot be right, whatever the database holds."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Raises:
        GalleryDamagedError: The file is not a database, or not a sound one.
        UsageError: Text that was asked for is not Unicode.
        DeadlineError: The time of this thread's work is up.
        StorageFullError: The disk is full.
        StorageFailedError: The disk fails.
        LookalikeError: The disk is read-only.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object[:100]!r} is not Unicode text") from None
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None and "decode" not in str(error):  # raised by the binding itself: our own bug, to be seen as one
            raise
        if code is not None and code & 0xFF == sqlite3.SQLITE_INTERRUPT:
            deadline.check()
        code = sqlite3.SQLITE_CORRUPT if code is None else code
        if code & 0xFF == sqlite3.SQLITE_ERROR and any(words in str(error) for words in OWN_BUGS):
            raise
        if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
            raise GalleryDamagedError(f"{path} is damaged ({error}); {WAY_OUT}") from error
        if code & 0xFF == sqlite3.SQLITE_FULL:
            message = f"{path}: no room left on the disk; nothing was changed, free some and try again"
            raise StorageFullError(message) from error
        if code & 0xFF == sqlite3.SQLITE_IOERR:
            raise StorageFailedError(f"{path}: {error}; see the system's log, the disk may be failing") from error
        raise LookalikeError(f"{path}: {error}") from error
