"""Translation of SQLite's errors into Lookalike's."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Final

from lookalike import deadline
from lookalike.errors import (
    LookalikeError,
    StorageFailedError,
    StorageFullError,
    UsageError,
    short_reason,
)

OWN_BUGS: Final = ("syntax error", "no such column", "no such function", "transaction")
"""Parts of SQLite's messages for invalid statements, which are bugs and no damage."""


class translated_errors:
    """Context that raises Lookalike's errors in place of SQLite's.

    Args:
        path: Path of the database, for messages.
        damaged: Class of the error for a file that is not a database, or a damaged one.
        way_out: What to do then.

    Raises:
        LookalikeError: The file is not a database, or a damaged one, or the disk is read-only.
        UsageError: A text is not Unicode.
        DeadlineError: The deadline of this thread has passed.
        StorageFullError: The disk is full.
        StorageFailedError: The disk fails.
    """

    __slots__ = ("_damaged", "_path", "_way_out")

    def __init__(self, path: Path, *, damaged: type[LookalikeError] = LookalikeError, way_out: str) -> None:
        self._path, self._damaged, self._way_out = path, damaged, way_out

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, UnicodeEncodeError):
            raise UsageError(f"{error.object[:100]!r} is not Unicode text") from None
        if isinstance(error, sqlite3.DatabaseError):
            raise_translated(error, self._path, damaged=self._damaged, way_out=self._way_out)


def raise_translated(error: sqlite3.DatabaseError, path: Path, *, damaged: type[LookalikeError], way_out: str) -> None:
    """Raise Lookalike's error for one of SQLite's; return if the error shows a bug."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and "decode" not in str(error):  # raised by the Python binding: a bug
        return
    if code is not None and code & 0xFF == sqlite3.SQLITE_INTERRUPT:
        deadline.check()
    code = sqlite3.SQLITE_CORRUPT if code is None else code
    if code & 0xFF == sqlite3.SQLITE_ERROR and any(words in str(error) for words in OWN_BUGS):
        return
    if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
        raise damaged(f"{path} is damaged ({short_reason(error)}); {way_out}") from error
    if code & 0xFF == sqlite3.SQLITE_FULL:
        message = f"{path}: no room left on the disk; nothing was changed, free some and try again"
        raise StorageFullError(message) from error
    if code & 0xFF == sqlite3.SQLITE_IOERR:
        raise StorageFailedError(
            f"{path}: {short_reason(error)}; see the system's log, the disk may be failing"
        ) from error
    raise LookalikeError(f"{path}: {short_reason(error)}") from error
