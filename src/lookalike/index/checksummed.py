"""Checksummed index files: the payload of an index, then a footer with checksums.

The footer is JSON, followed by its length at the end of the file. It has the name of the index, the number of rows, the
spaces of the columns, the length of the payload and its checksums. A file that is truncated, of another index or built
over other rows is refused before an index library reads it, and so is a damaged one, except for damage in the bulk: the
first part of the payload, which is mapped into memory. Opening checks samples of the bulk, so that it takes no longer
in large galleries; damage that they miss is found by a search that meets an impossible row, in
`faiss_candidates.answer`, or when the whole file is read.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Final

from lookalike.errors import IndexFileError
from lookalike.index.rows import Mapped, State
from lookalike.index.scaling import LIST_WEIGHTS
from lookalike.spaces import Space

LENGTH_DIGITS: Final = 8
"""Digits of the footer's length at the end of the file."""

BLOCK: Final = 1 << 20
"""Bytes that are read at once."""

PAGE: Final = 4096
"""Bytes of a sample."""

SAMPLES: Final = 512
"""Number of samples of the bulk that opening checks."""

READ_AT_ONCE: Final = 32 << 20
"""Bytes of the largest file that is read whole when it is opened; its CRC-32 takes 12 ms."""


def write_footer(path: Path, *, name: str, count: int, spaces: Sequence[Space], bulk: int = 0) -> None:
    """Append the footer to the payload that an index has written.

    Args:
        path: Index file.
        name: Name of the index.
        count: N, number of indexed rows.
        spaces: Spaces of the columns.
        bulk: Bytes at the beginning of which opening checks samples only.
    """
    with path.open("r+b") as file:
        length = file.seek(0, 2)
        facts = {
            **identity(name, count, spaces),
            **contents(file, bulk, length),
            "bulk checksum": checksum(file, 0, bulk),
        }
        file.seek(length)
        line = json.dumps(facts).encode()
        file.write(line + f"{len(line):0{LENGTH_DIGITS}d}".encode())


def check(path: Path, *, name: str, count: int, spaces: Sequence[Space], all_of_it: bool = False) -> int:
    """Check a file against its footer.

    Args:
        path: Index file.
        name: Expected name of the index.
        count: N, expected number of rows.
        spaces: Expected spaces of the columns.
        all_of_it: Read the whole bulk instead of samples.

    Returns:
        Bytes of the bulk.

    Raises:
        IndexFileError: The file is missing, damaged, of another index, or built over other rows.
    """
    try:
        with path.open("rb") as file:
            return check_file(file, path, name=name, count=count, spaces=spaces, all_of_it=all_of_it)
    except OSError as error:
        raise IndexFileError(path, error.strerror or str(error)) from None


def check_file(
    file: BufferedIOBase, path: Path, *, name: str, count: int, spaces: Sequence[Space], all_of_it: bool
) -> int:
    """Check an open file against its footer; see `check`."""
    try:
        end = file.seek(0, 2) - LENGTH_DIGITS
        file.seek(max(0, end))
        length = end - int(file.read())
        file.seek(max(0, length))
        facts = dict(json.loads(file.read(end - length)))
        bulk = int(facts.get("bulk", 0))
        found = {**identity(name, count, spaces), **contents(file, bulk, length)}
        if all_of_it:
            found["bulk checksum"] = checksum(file, 0, bulk)
    except OSError as error:
        raise IndexFileError(path, error.strerror or str(error)) from None
    except (ValueError, TypeError, OverflowError):
        raise IndexFileError(path, "its footer is damaged") from None
    for what, value in found.items():
        if facts.get(what) != value:
            raise IndexFileError(path, f"its {what} should be {value!r} and is {facts.get(what)!r}")
    return bulk


class ChecksummedFile(Mapped):
    """Memory-mapped checksummed file: checked whole once, and again when it has changed.

    A small file is checked when it is opened. A large one is checked in a background thread while searches use it:
    damage may make them miss rows, but scores are always right, since they are computed from the rows.
    """

    def __init__(self, path: Path, *, name: str, count: int, spaces: Sequence[Space]) -> None:
        """Open a file; see `check` for the arguments.

        Raises:
            FileNotFoundError: The file is missing.
            OSError: It cannot be read.
            IndexFileError: It is damaged, of another index, or built over other rows.
        """
        super().__init__(path)
        self._wanted: dict[str, Any] = {"name": name, "count": count, "spaces": tuple(spaces)}
        self._lock = threading.Lock()
        self._read: State = self.state()
        self._damage: IndexFileError | None = None
        if self._read[0] <= READ_AT_ONCE:
            self._read_whole(self._read)
        else:
            threading.Thread(
                target=self._read_in_background, args=(self._read,), name="check-index", daemon=True
            ).start()

    def check(self) -> None:
        """Check that the file is undamaged; reads it again if it has changed.

        Raises:
            IndexFileError: It is damaged.
        """
        now = self.state()
        if now != self._read:
            self._read_whole(now)
        if self._damage is not None:
            raise self._damage

    def check_in_place(self) -> None:
        """Check that the open file is still the one at its path.

        Raises:
            IndexFileError: Another file has replaced it.
            OSError: There is no file at the path.
        """
        if not os.path.samestat(os.fstat(self.descriptor), self.path.stat()):
            raise IndexFileError(self.path, "it was replaced while it was being read")

    def _read_whole(self, now: State) -> None:
        with self._lock, os.fdopen(os.dup(self.descriptor), "rb") as file:
            check_file(file, self.path, all_of_it=True, **self._wanted)
            self._read = now

    def _read_in_background(self, now: State) -> None:
        try:
            self._read_whole(now)
        except IndexFileError as error:
            self._damage = error


@contextmanager
def in_place(path: Path) -> Iterator[None]:
    """Check that a file which is opened several times in a context is not replaced meanwhile.

    Raises:
        IndexFileError: The file is missing or was replaced.
    """
    try:
        file = path.open("rb")  # kept open, so that no other file gets its inode
    except OSError as error:
        raise IndexFileError(path, error.strerror or str(error)) from None
    with file:
        yield
        try:
            same = os.path.samestat(os.fstat(file.fileno()), path.stat())
        except OSError as error:
            raise IndexFileError(path, error.strerror or str(error)) from None
    if not same:
        raise IndexFileError(path, "it was replaced while it was being read")


def identity(name: str, count: int, spaces: Sequence[Space]) -> dict[str, object]:
    """Name, rows and columns of an index, which must match the gallery's; columns include the weights of `Scale`."""
    columns = [[space.name, space.dimension, LIST_WEIGHTS.get(space.name, 1.0)] for space in spaces]
    return {"index": name, "rows": count, "spaces": columns}


def contents(file: BufferedIOBase, bulk: int, length: int) -> dict[str, object]:
    """Lengths and checksums of the payload: samples of the bulk, and everything after it."""
    sample = sampled_checksum(file, bulk)
    return {"length": length, "bulk": bulk, "bulk sample": sample, "checksum": checksum(file, bulk, length)}


def checksum(file: BufferedIOBase, start: int, end: int) -> int:
    """CRC-32 of a range of a file; about 4 GB per second."""
    file.seek(start)
    value, left = 0, end - start
    block = memoryview(bytearray(min(BLOCK, max(0, left))))  # one for all: new memory takes as long as the checksum
    while left > 0 and (count := file.readinto(block[:left])):
        value = zlib.crc32(block[:count], value)
        left -= count
    return value


def sampled_checksum(file: BufferedIOBase, length: int) -> int:
    """CRC-32 of `SAMPLES` evenly spaced pages of the first `length` bytes of a file, first and last included."""
    pages = -(-length // PAGE)
    places = sorted({PAGE * (at * (pages - 1) // (SAMPLES - 1)) for at in range(SAMPLES)}) if pages else []
    if hasattr(os, "posix_fadvise"):  # a disk reads many pages at once four times faster
        for place in places:
            os.posix_fadvise(file.fileno(), place, PAGE, os.POSIX_FADV_WILLNEED)
    value = 0
    for place in places:
        file.seek(place)
        value = zlib.crc32(file.read(min(PAGE, length - place)), value)
    return value
