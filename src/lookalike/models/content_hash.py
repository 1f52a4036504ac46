"""Content checksum of an ONNX file, which detects damage that would silently change embeddings.

The last bytes of an ONNX file are an entry of its metadata, `lookalike.content`, with the SHA-256 of all bytes before
them. ONNX reads it as ordinary metadata, because protobuf allows the entries of a list anywhere in a file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from lookalike.errors import ModelError
from lookalike.storage.files import read_file

KEY: Final = b"lookalike.content"
DIGITS: Final = 64
_VALUE: Final = b"\x0a" + bytes([len(KEY)]) + KEY + b"\x12" + bytes([DIGITS])
PREFIX: Final = b"\x72" + bytes([len(_VALUE) + DIGITS]) + _VALUE
"""Protobuf encoding of the entry up to its value: field 14 of a model, with the key (1) and the value (2)."""

LARGEST: Final = 1 << 31
"""Largest size of an ONNX file in bytes, that of a Protobuf message."""

WAY_OUT: Final = "bring it back from a copy, or make it again with `lookalike export CHECKPOINT --onnx FILE`"


def append_checksum(path: Path) -> None:
    """Append the checksum to an ONNX file that has none."""
    content = path.read_bytes()
    with path.open("ab") as file:
        file.write(PREFIX + hashlib.sha256(content).hexdigest().encode())


def read_checked(path: Path) -> bytes:
    """Read an ONNX file and verify its checksum, if it has one.

    Raises:
        ModelError: The file is damaged, or cannot be read.
    """
    try:
        content = read_file(path, most=LARGEST)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from None
    if has_checksum(content):
        found = hashlib.sha256(memoryview(content)[: -len(PREFIX) - DIGITS]).hexdigest()
        if content[-DIGITS:] != found.encode():
            raise ModelError(f"{path}: the file is damaged, its content does not fit its checksum; {WAY_OUT}")
    return content


def has_checksum(content: bytes) -> bool:
    """Return whether a file ends in a checksum."""
    return content[-len(PREFIX) - DIGITS : -DIGITS] == PREFIX


def require_checksum(path: Path, content: bytes) -> None:
    """Check that a file has a checksum.

    Raises:
        ModelError: The file has none.
    """
    if not has_checksum(content):
        raise ModelError(f"{path}: its checksum is missing, so the file is damaged or was changed; {WAY_OUT}")
