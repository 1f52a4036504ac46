"""The files that indexes are saved in: whatever the index wrote, then a seal that says what it is.

The seal is a line of JSON at the end: the index's name, the shape of the rows, the payload's length and a checksum.
The checksum reads a sample of the pages, so that opening a large index stays a matter of milliseconds: it finds files
cut short, overwritten, mixed up or zeroed in a stretch, but not every flipped bit. A flipped bit can cost an index a
candidate; it cannot make a wrong score, because scores come from the rows.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import BinaryIO

from lookalike.errors import IndexFileError

SEAL_BYTES = 256
"""Length of the seal, padded with spaces."""

PAGE = 4096
SAMPLES = 512


def write(path: Path, payload: bytes, *, name: str, shape: tuple[int, ...]) -> None:
    """Write a payload and seal it."""
    path.write_bytes(payload)
    seal(path, name=name, shape=shape)


def seal(path: Path, *, name: str, shape: tuple[int, ...]) -> None:
    """Put a seal at the end of a file that an index has written."""
    with path.open("r+b") as file:
        length = file.seek(0, 2)
        facts = {
            "index": name,
            "rows": shape[0],
            "width": shape[1],
            "length": length,
            "checksum": sampled_checksum(file, length),
        }
        file.seek(length)
        file.write(json.dumps(facts).encode().ljust(SEAL_BYTES))


def open_payload(path: Path, *, name: str, shape: tuple[int, ...]) -> int:
    """Check a file's seal; the payload is all that stands before it.

    Returns:
        The payload's length in bytes.

    Raises:
        IndexFileError: The file is missing, damaged, of another index, or of rows of another number or width.
    """
    try:
        with path.open("rb") as file:
            length = file.seek(0, 2) - SEAL_BYTES
            if length < 0:
                raise IndexFileError(path, "it is too short to be one")
            file.seek(length)
            facts = json.loads(file.read())
            checksum = sampled_checksum(file, length)
    except OSError as error:
        raise IndexFileError(path, error.strerror or str(error)) from None
    except ValueError:
        raise IndexFileError(path, "it has no seal at its end") from None
    found = {"index": name, "rows": shape[0], "width": shape[1], "length": length, "checksum": checksum}
    if not isinstance(facts, dict):
        raise IndexFileError(path, "it has no seal at its end")
    for what, value in found.items():
        if facts.get(what) != value:
            raise IndexFileError(path, f"its {what} is {facts.get(what)!r}, and {value!r} was expected")
    return length


def sampled_checksum(file: BinaryIO, length: int) -> int:
    """CRC-32 of the first and last pages of a file and of others evenly between, up to a length in bytes."""
    pages = -(-length // PAGE)
    checksum = 0
    for page in sorted({sample * (pages - 1) // (SAMPLES - 1) for sample in range(SAMPLES)}) if pages else []:
        file.seek(page * PAGE)
        checksum = zlib.crc32(file.read(min(PAGE, length - page * PAGE)), checksum)
    return checksum
