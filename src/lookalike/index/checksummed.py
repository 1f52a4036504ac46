"""The files that indexes are saved in: what the index wrote, then a footer with checksums.

The footer is JSON at the end of the file, and its length after it: the index's name, the number of rows, the spaces
that their columns are, the payload's length and its checksums. A file that is cut short, mixed up with another's or
made over other rows is refused before an index library sees it, and so is one that was changed, but for its bulk: what
an index maps into memory, which stands at the beginning. Of that, opening looks at samples only, or it would take the
longer the larger the gallery is; a change that they miss is found by a search that comes upon a row that cannot be
there (see `candidates.answer`), or when all of it is read.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from lookalike.errors import IndexFileError
from lookalike.index.rows import Mapped, State
from lookalike.index.scaling import LIST_WEIGHTS
from lookalike.spaces import Space

LENGTH_DIGITS: Final = 8
BLOCK: Final = 1 << 20

PAGE: Final = 4096
SAMPLES: Final = 512

READ_AT_ONCE: Final = 32 << 20
"""Bytes; CRC-32 of so many takes 12 ms."""


def write_footer(path: Path, *, name: str, count: int, spaces: Sequence[Space], bulk: int = 0) -> None:
    """Append the footer to a file that an index has written.

    Args:
        path: The file.
        name: The index's.
        count: N, how many rows it was made over.
        spaces: What their columns are.
        bulk: How many bytes, from the first, need not all be read when it is opened.
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
        path: The file.
        name: The index's.
        count: N, how many rows it should have been made over.
        spaces: What their columns should be.
        all_of_it: Read the whole bulk, and not only samples of it.

    Returns:
        How many bytes the bulk has.

    Raises:
        IndexFileError: The file is missing, damaged, of another index, or made over other rows.
    """
    try:
        with path.open("rb") as file:
            return check_file(file, path, name=name, count=count, spaces=spaces, all_of_it=all_of_it)
    except OSError as error:
        raise IndexFileError(path, error.strerror or str(error)) from None


def check_file(file: BinaryIO, path: Path, *, name: str, count: int, spaces: Sequence[Space], all_of_it: bool) -> int:
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
        raise IndexFileError(path, "it is damaged at its end") from None
    for what, value in found.items():
        if facts.get(what) != value:
            raise IndexFileError(path, f"its {what} should be {value!r} and is {facts.get(what)!r}")
    return bulk


class ChecksummedFile(Mapped):
    """A checksummed file that is mapped into memory: read whole once, and again when it has changed.

    A small bulk is read when the file is opened. A large one is read aside, and searches go on meanwhile: what is
    damaged there makes them miss rows, but a score is always right, for it is computed from the rows.
    """

    def __init__(self, path: Path, *, name: str, count: int, spaces: Sequence[Space]) -> None:
        """Hold a file.

        Raises:
            FileNotFoundError: There is none.
            OSError: It cannot be read.
            IndexFileError: It is damaged, of another index, or made over other rows.
        """
        super().__init__(path)
        self._wanted: dict[str, Any] = {"name": name, "count": count, "spaces": tuple(spaces)}
        self._lock = threading.Lock()
        self._read: State = self.state()
        self._damage: IndexFileError | None = None
        if self._read[0] <= READ_AT_ONCE:
            self._read_whole(self._read)
        else:
            threading.Thread(target=self._read_aside, args=(self._read,), name="check-index", daemon=True).start()

    def check(self) -> None:
        """Make sure that the file is as it was.

        Raises:
            IndexFileError: It is not.
        """
        now = self.state()
        if now != self._read:
            self._read_whole(now)
        if self._damage is not None:
            raise self._damage

    def check_in_place(self) -> None:
        """Make sure that the file which is held still stands where it was opened.

        Raises:
            IndexFileError: It does not.
            OSError: There is none any more.
        """
        if not os.path.samestat(os.fstat(self.descriptor), self.path.stat()):
            raise IndexFileError(self.path, "it was replaced while it was being read")

    def _read_whole(self, now: State) -> None:
        with self._lock, os.fdopen(os.dup(self.descriptor), "rb") as file:
            check_file(file, self.path, all_of_it=True, **self._wanted)
            self._read = now

    def _read_aside(self, now: State) -> None:
        try:
            self._read_whole(now)
        except IndexFileError as error:
            self._damage = error


@contextmanager
def in_place(path: Path) -> Iterator[None]:
    """Make sure that a file which is opened more than once is the same each time.

    Raises:
        IndexFileError: It is missing, or another one has taken its place.
    """
    try:
        file = path.open("rb")  # held meanwhile, so that no other file gets its number
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
    """What an index must agree in with the gallery that opens it; it was scaled by the spaces' default weights."""
    columns = [[space.name, space.dimension, LIST_WEIGHTS.get(space.name, 1.0)] for space in spaces]
    return {"index": name, "rows": count, "spaces": columns}


def contents(file: BinaryIO, bulk: int, length: int) -> dict[str, object]:
    """Checksums of the contents, by samples of the bulk and by all that comes after it."""
    sample = sampled_checksum(file, bulk)
    return {"length": length, "bulk": bulk, "bulk sample": sample, "checksum": checksum(file, bulk, length)}


def checksum(file: BinaryIO, start: int, end: int) -> int:
    """CRC-32 of a part of a file; about 4 GB a second."""
    file.seek(start)
    value, left = 0, end - start
    while left > 0 and (block := file.read(min(BLOCK, left))):
        value = zlib.crc32(block, value)
        left -= len(block)
    return value


def sampled_checksum(file: BinaryIO, length: int) -> int:
    """CRC-32 of the first and last pages of a file and of others evenly between, up to a length in bytes."""
    pages = -(-length // PAGE)
    places = sorted({PAGE * (at * (pages - 1) // (SAMPLES - 1)) for at in range(SAMPLES)}) if pages else []
    if hasattr(os, "posix_fadvise"):  # a disk reads many pages at once in a quarter of the time of one after the other
        for place in places:
            os.posix_fadvise(file.fileno(), place, PAGE, os.POSIX_FADV_WILLNEED)
    value = 0
    for place in places:
        file.seek(place)
        value = zlib.crc32(file.read(min(PAGE, length - place)), value)
    return value
