"""What a write-ahead log must still hold: noticed when it is damaged, or lies beside a database that is not its own.

SQLite reads a log up to the first frame whose checksum is wrong and passes over the rest without a word, as it must
after a power cut. Which commits were acknowledged only a second file can tell. It is seldom written: each commit is
moved out of the log at once, unless readers are in the way.

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
"""Bytes before the first frame."""

FRAME: Final = 24
"""Bytes before the page in each frame."""

ORDERS: Final = {0x377F0682: "<u4", 0x377F0683: ">u4"}
"""How the words are stored over which checksums are taken, by the first four bytes."""

TRIES: Final = 20
"""How often to look again where a log or its database are being changed."""


class State(NamedTuple):
    """What a database holds: number and signature of its newest commit."""

    change: int
    signature: str


class Note(NamedTuple):
    """What was known of a log when a commit was acknowledged that stayed in it.

    Attributes:
        salts: What tells this log from earlier ones in the same file, in hexadecimal.
        frames: Pages in it.
        beneath: The state of the database without it; None when that was not clear.
        newest: The state with it.
    """

    salts: str
    frames: int
    beneath: State | None
    newest: State


def note_commits(connection: sqlite3.Connection, database: Path) -> None:
    """Note which frames of a log that could not be emptied were acknowledged, and what database they belong on.

    That this fails is no failure of the commit, which is on the disk.

    Args:
        connection: That wrote the newest commit.
        database: The path of the database.
    """
    with contextlib.suppress(sqlite3.Error, LookalikeError):
        newest, log = state_of(connection), read_log(database)
        if newest and log and log[1]:
            note = Note(*log, state_beneath(database), newest)
            write_durably(note_of(database), json.dumps(note).encode())


def forget(database: Path) -> None:
    """Delete what was noted of a log that is empty now."""
    with contextlib.suppress(OSError):
        note_of(database).unlink(missing_ok=True)


def check_log(connection: sqlite3.Connection, database: Path) -> None:
    """Make sure that the log beside a database is whole and its own; 0.1 ms a page of 16 KiB, where there is a note.

    Args:
        connection: To the database, through its log.
        database: The path of the database.

    Raises:
        GalleryDamagedError: Commits that were acknowledged are missing of it, or it belongs to another database.
    """
    for _ in range(TRIES):
        found = what_is_there(database)
        problem = found and problem_of(connection, database, *found)
        if problem is None:
            return
        if what_is_there(database) == found:  # and not in the middle of a change
            raise GalleryDamagedError(f"{database}-wal {problem}")


def what_is_there(database: Path) -> tuple[Note, tuple[str, int], State | None] | None:
    """What was noted of a log, its salts and frames, and the state beneath it; None where nothing can be missing."""
    known = noted(database)
    if known is None or log_size(database) == 0:
        return None
    log = read_log(database) or (known.salts, 0)
    if log[0] != known.salts or log_size(database) == 0:
        return None  # begun again since: all that was noted is in the database
    return known, log, state_beneath(database)


def problem_of(
    connection: sqlite3.Connection, database: Path, known: Note, log: tuple[str, int], beneath: State | None
) -> str | None:
    """What is wrong with a log, as the end of a message; None when nothing is."""
    if log[1] < known.frames:
        return f"is damaged: {known.frames:,} pages were committed to it, and {log[1]:,} can be read; {WAY_OUT}"
    if beneath is None or is_beneath(connection, beneath, known):
        return None
    return (
        "holds commits to another database than the one beside it; delete it to keep this one as it is, or bring back "
        "the database that it belongs to"
    )


def is_beneath(connection: sqlite3.Connection, beneath: State, known: Note) -> bool:
    """Whether a log, as it was noted, belongs on a database in a state.

    Commits of the log may have been moved into the database since. A backup may have been brought back through the log,
    so that the database is older than it was, or will be.

    Args:
        connection: To the database, through its log.
        beneath: The state of the database without the log.
        known: What was noted of the log.
    """
    if known.beneath in (None, beneath) or not is_part_of(known.newest, connection):
        return True
    may_have_moved = beneath.change > known.beneath.change or not is_part_of(known.beneath, connection)
    return may_have_moved and is_part_of(beneath, connection)


def is_part_of(state: State, connection: sqlite3.Connection) -> bool:
    """Whether a database came by a state on its way to its own."""
    return signature_of(connection, state.change) == state.signature


def state_of(connection: sqlite3.Connection) -> State | None:
    """Number and signature of the newest commit; None when it has none, as while commits are moved into a database."""
    change = meta_number(connection, "change")
    signature = signature_of(connection, change)
    return State(change, signature) if signature or not change else None


def state_beneath(database: Path) -> State | None:
    """The state of a database without its log; None when that is not clear."""
    address = f"file:{quote(str(database.absolute()))}?mode=ro&immutable=1"
    with (
        contextlib.suppress(sqlite3.Error, LookalikeError),
        contextlib.closing(sqlite3.connect(address, uri=True)) as connection,
    ):
        equip(connection)
        return state_of(connection)
    return None


def read_log(database: Path) -> tuple[str, int] | None:
    """The salts of a log and how many of its frames are whole, as SQLite counts; None where its header is not."""
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
    """Two numbers of 32 bits."""
    return int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")


def checksum(words: NDArray[np.uint32], before: tuple[int, int]) -> tuple[int, int]:
    """SQLite's checksum: each number is the sum of the two before it and of a word, so words weigh as Fibonacci has it.

    Args:
        words: (n,) of 32 bits, n even.
        before: The checksum of what comes before.
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
    """(count,) Fibonacci numbers from 0 on, modulo 2^32."""
    found = [0, 1]
    while len(found) < count:
        found.append((found[-1] + found[-2]) % 2**32)
    return np.array(found[:count], np.uint32)


def log_size(database: Path) -> int:
    """Bytes of the log; 0 where there is none."""
    try:
        return Path(f"{database}-wal").stat().st_size
    except OSError:
        return 0


def noted(database: Path) -> Note | None:
    """What was noted of a log; None when there is no note, or one that makes no sense."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        salts, frames, beneath, newest = json.loads(note_of(database).read_bytes())
        return Note(str(salts), int(frames), None if beneath is None else State(*beneath), State(*newest))
    return None


def note_of(database: Path) -> Path:
    """Where it is noted."""
    return database.with_name(f"{database.name}-commits")
