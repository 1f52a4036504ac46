"""What SQLite complains about, in our own errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Final

from lookalike import deadline
from lookalike.errors import (
    GalleryDamagedError,
    LookalikeError,
    StorageFailedError,
    StorageFullError,
    UsageError,
    short_reason,
)
from lookalike.gallery.local.row_checksums import WAY_OUT

OWN_BUGS: Final = ("syntax error", "no such column", "no such function", "transaction")
"""What SQLite says of statements that cannot be right, whatever the database holds."""


class explained:
    """Turn SQLite's errors into ours.

    Raises:
        GalleryDamagedError: The file is not a database, or not a sound one.
        UsageError: Text that was asked for is not Unicode.
        DeadlineError: The time of this thread's work is up.
        StorageFullError: The disk is full.
        StorageFailedError: The disk fails.
        LookalikeError: The disk is read-only.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, UnicodeEncodeError):
            raise UsageError(f"{error.object[:100]!r} is not Unicode text") from None
        if isinstance(error, sqlite3.DatabaseError):
            explain(error, self._path)


def explain(error: sqlite3.DatabaseError, path: Path) -> None:
    """Raise our own error in place of one of SQLite's; return where that is a fault of ours."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and "decode" not in str(error):  # raised by the binding itself: our own bug, to be seen as one
        return
    if code is not None and code & 0xFF == sqlite3.SQLITE_INTERRUPT:
        deadline.check()
    code = sqlite3.SQLITE_CORRUPT if code is None else code
    if code & 0xFF == sqlite3.SQLITE_ERROR and any(words in str(error) for words in OWN_BUGS):
        return
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        raise GalleryDamagedError(f"{path} is damaged ({short_reason(error)}); {WAY_OUT}") from error
    if code & 0xFF == sqlite3.SQLITE_FULL:
        message = f"{path}: no room left on the disk; nothing was changed, free some and try again"
        raise StorageFullError(message) from error
    if code & 0xFF == sqlite3.SQLITE_IOERR:
        raise StorageFailedError(
            f"{path}: {short_reason(error)}; see the system's log, the disk may be failing"
        ) from error
    raise LookalikeError(f"{path}: {short_reason(error)}") from error
