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
from typing import Any, Final
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


def note_commits(database: Path) -> None:
    """Note which frames of a log that could not be emptied were acknowledged, and what database they belong on.

    That this fails is no failure of the commit, which is on the disk.
    """
    log = read_log(database)
    if log is not None and log[1]:
        beneath = state_beneath(database)
        fact = {"salts": log[0], "frames": log[1], "beneath": beneath}
        with contextlib.suppress(LookalikeError):
            write_durably(note_of(database), json.dumps(fact).encode())


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
    known = noted(database)
    if known is None or log_size(database) == 0:
        return
    log = read_log(database)
    salts, frames = log or ("", 0)
    if salts not in ("", known["salts"]) or log_size(database) == 0:
        return  # begun again since: all that was noted is in the database
    if frames < known["frames"]:
        if read_log(database) == log:
            raise GalleryDamagedError(
                f"{database}-wal is damaged: {known['frames']:,} pages were committed to it, and {frames:,} "
                f"can be read; {WAY_OUT}"
            )
        return
    beneath, noted_beneath = state_beneath(database), known["beneath"]
    if beneath is None or noted_beneath is None or follows(connection, beneath, noted_beneath):
        return
    raise GalleryDamagedError(
        f"{database}-wal holds commits to another database than the one beside it; delete it to keep this one as it "
        "is, or bring back the database that it belongs to"
    )


def follows(connection: sqlite3.Connection, beneath: list[int | str], before: list[int | str]) -> bool:
    """Whether a database without its log is what it was when the log was noted, or has taken up commits of it since."""
    if int(beneath[0]) <= int(before[0]):
        return beneath == before
    return signature_of(connection, int(beneath[0])) == beneath[1]


def state_beneath(database: Path) -> list[int | str] | None:
    """Number and signature of the newest commit that a database holds without its log; None when that is not clear."""
    address = f"file:{quote(str(database.absolute()))}?mode=ro&immutable=1"
    with (
        contextlib.suppress(sqlite3.Error, LookalikeError),
        contextlib.closing(sqlite3.connect(address, uri=True)) as connection,
    ):
        equip(connection)
        change = meta_number(connection, "change")
        signature = signature_of(connection, change)
        return [change, signature] if signature or not change else None
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


def noted(database: Path) -> dict[str, Any] | None:
    """What was noted of a log; None when there is no note, or one that makes no sense."""
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(note_of(database).read_bytes())
        if isinstance(known, dict) and {"salts", "frames", "beneath"} <= known.keys():
            return known
    return None


def note_of(database: Path) -> Path:
    """Where it is noted."""
    return database.with_name(f"{database.name}-commits")
