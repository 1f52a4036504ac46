"""The files that indexes are saved in: whatever the index wrote, then a seal that says what it is.

The seal is JSON at the end of the file, and its length after it: the index's name, the number of rows, the spaces
that their columns are, the payload's length and its checksum. A file that is cut short, changed in any bit, mixed up
with another's or made over other rows is refused before an index library sees it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from lookalike.errors import IndexFileError
from lookalike.index.scaling import LIST_WEIGHTS
from lookalike.spaces import Space

LENGTH_DIGITS: Final = 8
BLOCK: Final = 1 << 20

PAGE: Final = 4096
SAMPLES: Final = 512


def seal(path: Path, *, name: str, count: int, spaces: Sequence[Space]) -> None:
    """Put a seal at the end of a file that an index has written.

    Args:
        path: The file.
        name: The index's.
        count: N, how many rows it was made over.
        spaces: What their columns are.
    """
    with path.open("r+b") as file:
        length = file.seek(0, 2)
        facts = {**identity(name, count, spaces), "length": length, "checksum": checksum(file, length)}
        file.seek(length)
        line = json.dumps(facts).encode()
        file.write(line + f"{len(line):0{LENGTH_DIGITS}d}".encode())


def check(path: Path, *, name: str, count: int, spaces: Sequence[Space]) -> None:
    """Check a file's seal, and all that it seals.

    Raises:
        IndexFileError: The file is missing, damaged, of another index, or made over other rows.
    """
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2) - LENGTH_DIGITS
            file.seek(max(0, end))
            length = end - int(file.read())
            file.seek(max(0, length))
            facts = json.loads(file.read(end - length))
            found = {**identity(name, count, spaces), "length": length, "checksum": checksum(file, length)}
    except OSError as error:
        raise IndexFileError(path, error.strerror or str(error)) from None
    except ValueError:
        raise IndexFileError(path, "it is damaged at its end") from None
    if not isinstance(facts, dict):
        raise IndexFileError(path, "it is damaged at its end")
    for what, value in found.items():
        if facts.get(what) != value:
            raise IndexFileError(path, f"its {what} should be {value!r} and is {facts.get(what)!r}")


def identity(name: str, count: int, spaces: Sequence[Space]) -> dict[str, object]:
    """What an index must agree in with the gallery that opens it; it was scaled by the spaces' default weights."""
    columns = [[space.name, space.dimension, LIST_WEIGHTS.get(space.name, 1.0)] for space in spaces]
    return {"index": name, "rows": count, "spaces": columns}


def checksum(file: BinaryIO, length: int) -> int:
    """CRC-32 of the first bytes of a file; about 4 GB a second."""
    file.seek(0)
    value, left = 0, length
    while left > 0 and (block := file.read(min(BLOCK, left))):
        value = zlib.crc32(block, value)
        left -= len(block)
    return value


def sampled_checksum(file: BinaryIO, length: int) -> int:
    """CRC-32 of the first and last pages of a file and of others evenly between, up to a length in bytes."""
    pages = -(-length // PAGE)
    value = 0
    for page in sorted({sample * (pages - 1) // (SAMPLES - 1) for sample in range(SAMPLES)}) if pages else []:
        file.seek(page * PAGE)
        value = zlib.crc32(file.read(min(PAGE, length - page * PAGE)), value)
    return value
