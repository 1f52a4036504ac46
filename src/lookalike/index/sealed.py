"""The files that indexes are saved in: whatever the index wrote, then a seal that says what it is.

The seal is JSON at the end of the file, and its length after it: the index's name, the number of rows, the spaces
that their columns are, the payload's length and its checksums. A file that is cut short, mixed up with another's or
made over other rows is refused before an index library sees it, and so is one that was changed, but for its bulk: what
an index maps into memory, which stands at the beginning. Of that, opening looks at samples only, or it would take the
longer the larger the gallery is; a change that they miss is found by a search that comes upon a row that cannot be
there (see `candidates.answer`), or when all of it is read.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from lookalike.errors import IndexFileError
from lookalike.index.scaling import LIST_WEIGHTS
from lookalike.spaces import Space

LENGTH_DIGITS: Final = 8
BLOCK: Final = 1 << 20

PAGE: Final = 4096
SAMPLES: Final = 512


def seal(path: Path, *, name: str, count: int, spaces: Sequence[Space], bulk: int = 0) -> None:
    """Put a seal at the end of a file that an index has written.

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
    """Check a file's seal, and what it seals.

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
    """What is sealed, by samples of the bulk and by all that comes after it."""
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
