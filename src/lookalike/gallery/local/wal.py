"""Integrity of the write-ahead log: detects a log that lost commits, or lies beside a database that is not its own.

SQLite reads a log up to the first frame whose checksum is wrong and ignores the rest without an error, as it must after
a power cut. Which commits were acknowledged is therefore recorded in a second file, the log note
`gallery.db-commits`. It is seldom written: each commit is moved from the log into the main file at once, unless a
reader prevents that.

Source: https://www.sqlite.org/fileformat2.html#walformat.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import GalleryDamagedError, LookalikeError
from lookalike.gallery.local.metadata_table import meta_number, signature_of
from lookalike.gallery.local.row_checksums import WAY_OUT, equip
from lookalike.storage.durable import write_durably

HEADER: Final = 32
"""Bytes of the log's header, before the first frame."""

FRAME: Final = 24
"""Bytes of a frame's header, before its page."""

ORDERS: Final = {0x377F0682: "<u4", 0x377F0683: ">u4"}
"""Byte order of the words that checksums are computed over, by the magic number in the first four bytes."""

TRIES: Final = 20
"""Largest number of inspections while a log or its database are being changed."""


class Commit(NamedTuple):
    """A commit, by the change counter and the signature of the database after it."""

    change: int
    signature: str


class LogNote(NamedTuple):
    """Record of a log whose acknowledged commits were not yet moved into the main file.

    Attributes:
        salts: Salts in the log's header, in hexadecimal; they differ for each log that is begun in the file.
        frames: Number of acknowledged frames.
        main: Newest commit of the main file without the log; None where it could not be read.
        newest: Newest commit of main file and log together.
    """

    salts: str
    frames: int
    main: Commit | None
    newest: Commit


class Inspection(NamedTuple):
    """A log note, and the log and main file as they are now.

    Attributes:
        note: The log note.
        salts: Salts of the log, in hexadecimal.
        frames: Number of intact frames in the log.
        main: Newest commit of the main file without the log; None where it cannot be read.
    """

    note: LogNote
    salts: str
    frames: int
    main: Commit | None


def write_note(connection: sqlite3.Connection, database: Path) -> None:
    """Record which frames of a log that could not be emptied are acknowledged, and which main file they belong to.

    Errors are ignored: the commit itself is on disk.

    Args:
        connection: Connection that made the newest commit.
        database: Path of the main file.
    """
    with contextlib.suppress(sqlite3.Error, LookalikeError):
        newest, log = newest_commit(connection), read_log(database)
        if newest and log and log[1]:
            note = LogNote(*log, main_file_commit(database), newest)
            write_durably(note_path(database), json.dumps(note).encode())


def delete_note(database: Path) -> None:
    """Delete the note of a log that has been emptied."""
    with contextlib.suppress(OSError):
        note_path(database).unlink(missing_ok=True)


def check_log(connection: sqlite3.Connection, database: Path) -> None:
    """Check a log against its note: all acknowledged frames are intact, and the main file is the log's own.

    Without a note there is nothing to check; with one it takes 0.1 ms for each page of 16 KiB.

    Args:
        connection: Connection that reads main file and log together.
        database: Path of the main file.

    Raises:
        GalleryDamagedError: Acknowledged commits are missing, or the log belongs to another database.
    """
    for _ in range(TRIES):
        found = inspect(database)
        problem = found and problem_of(connection, database, found)
        if problem is None:
            return
        if inspect(database) == found:  # else another process is changing the files: look again
            raise GalleryDamagedError(f"{database}-wal {problem}")


def inspect(database: Path) -> Inspection | None:
    """Read note, log and main file; None where no commit can be missing."""
    note = read_note(database)
    if note is None or log_size(database) == 0:
        return None
    salts, frames = read_log(database) or (note.salts, 0)
    if salts != note.salts or log_size(database) == 0:
        return None  # a new log was begun since, so all commits of the noted one are in the main file
    return Inspection(note, salts, frames, main_file_commit(database))


def problem_of(connection: sqlite3.Connection, database: Path, found: Inspection) -> str | None:
    """Describe what is wrong with a log, as the end of a message; None for a sound one."""
    if found.frames < found.note.frames:
        return (
            f"is damaged: {found.note.frames:,} pages were committed to it, and {found.frames:,} can be read; {WAY_OUT}"
        )
    if found.main is None or belongs_to(connection, found.note, found.main):
        return None
    return (
        "holds commits to another database than the one beside it; delete it to keep this one as it is, or bring back "
        "the database that it belongs to"
    )


def belongs_to(connection: sqlite3.Connection, note: LogNote, main: Commit) -> bool:
    """Whether the noted log belongs to a main file.

    Commits of the log may have been moved into the main file since. A backup may have been restored through the log, so
    that the main file is older than it was, or will be.

    Args:
        connection: Connection that reads main file and log together.
        note: Note of the log.
        main: Newest commit of the main file without the log.
    """
    if note.main in (None, main) or not has_commit(connection, note.newest):
        return True
    may_have_moved = main.change > note.main.change or not has_commit(connection, note.main)
    return may_have_moved and has_commit(connection, main)


def has_commit(connection: sqlite3.Connection, commit: Commit) -> bool:
    """Whether a commit is in the history of the database."""
    return signature_of(connection, commit.change) == commit.signature


def newest_commit(connection: sqlite3.Connection) -> Commit | None:
    """The newest commit; None where its signature is missing, as while commits are moved into the main file."""
    change = meta_number(connection, "change")
    signature = signature_of(connection, change)
    return Commit(change, signature) if signature or not change else None


def main_file_commit(database: Path) -> Commit | None:
    """The newest commit of a main file without its log; None where it cannot be read."""
    address = f"file:{quote(str(database.absolute()))}?mode=ro&immutable=1"
    with (
        contextlib.suppress(sqlite3.Error, LookalikeError),
        contextlib.closing(sqlite3.connect(address, uri=True)) as connection,
    ):
        equip(connection)
        return newest_commit(connection)
    return None


def read_log(database: Path) -> tuple[str, int] | None:
    """Read the salts of a log and the number of its intact frames, as SQLite counts them; None for a broken header."""
    try:
        with Path(f"{database}-wal").open("rb") as file:
            header = file.read(HEADER)
            order = ORDERS.get(int.from_bytes(header[:4], "big")) if len(header) == HEADER else None
            if order is None:
                return None
            sums = checksum(np.frombuffer(header[:24], order), (0, 0))
            if sums != numbers_at(header, 24):
                return None
            page, frames = int.from_bytes(header[8:12], "big"), 0
            while len(frame := file.read(FRAME + page)) == FRAME + page and frame[8:16] == header[16:24]:
                sums = checksum(np.frombuffer(frame[:8] + frame[FRAME:], order), sums)
                if sums != numbers_at(frame, 16):
                    break
                frames += 1
            return header[16:24].hex(), frames
    except OSError:
        return None


def numbers_at(data: bytes, at: int) -> tuple[int, int]:
    """Read two big-endian 32-bit numbers at an offset."""
    return int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")


def checksum(words: NDArray[np.uint32], before: tuple[int, int]) -> tuple[int, int]:
    """Compute SQLite's checksum of words: a recurrence, evaluated as a sum of words weighted by Fibonacci numbers.

    Args:
        words: (n,) 32-bit words, n even.
        before: Checksum of the bytes before.
    """
    weights = fibonacci(len(words) + 2)
    found = []
    for last in (len(words), len(words) + 1):
        started = int(weights[last - 1]) * before[0] + int(weights[last]) * before[1]
        added = int(np.dot(words.astype(np.uint32), weights[last - len(words) : last][::-1]))
        found.append((started + added) % 2**32)
    return found[0], found[1]


@cache
def fibonacci(count: int) -> NDArray[np.uint32]:
    """Fibonacci numbers from 0 on, modulo 2^32: (count,) uint32."""
    found = [0, 1]
    while len(found) < count:
        found.append((found[-1] + found[-2]) % 2**32)
    return np.array(found[:count], np.uint32)


def log_size(database: Path) -> int:
    """Size of the log in bytes; 0 without a log."""
    try:
        return Path(f"{database}-wal").stat().st_size
    except OSError:
        return 0


def read_note(database: Path) -> LogNote | None:
    """Read the log note; None where it is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        salts, frames, main, newest = json.loads(note_path(database).read_bytes())
        return LogNote(str(salts), int(frames), None if main is None else Commit(*main), Commit(*newest))
    return None


def note_path(database: Path) -> Path:
    """Path of the log note."""
    return database.with_name(f"{database.name}-commits")
