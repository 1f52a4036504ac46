"""The checksum of a model's file, by which one that was damaged is refused: it would give embeddings all the same.

The last bytes of an ONNX file are an entry of its metadata, `lookalike.content`, with the SHA-256 of all bytes before
them. For ONNX, whose format lets a list's entries stand anywhere, it is an entry like any other.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from lookalike.errors import ModelError

KEY: Final = b"lookalike.content"
DIGITS: Final = 64
_VALUE: Final = b"\x0a" + bytes([len(KEY)]) + KEY + b"\x12" + bytes([DIGITS])
PREFIX: Final = b"\x72" + bytes([len(_VALUE) + DIGITS]) + _VALUE
"""The entry up to its value, in protobuf: field 14 of a model, which holds field 1, the key, and field 2, the value."""

WAY_OUT: Final = "bring it back from a copy, or make it again with `lookalike export CHECKPOINT --onnx FILE`"


def seal(path: Path) -> None:
    """Write the checksum of an ONNX file that has none to its end."""
    content = path.read_bytes()
    with path.open("ab") as file:
        file.write(PREFIX + hashlib.sha256(content).hexdigest().encode())


def read_checked(path: Path) -> bytes:
    """Read an ONNX file that is as it was written; one without a checksum is for `check_sealed` to refuse.

    Raises:
        ModelError: It is damaged, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}") from None
    if is_sealed(content):
        found = hashlib.sha256(memoryview(content)[: -len(PREFIX) - DIGITS]).hexdigest()
        if content[-DIGITS:] != found.encode():
            raise ModelError(f"{path}: the file is damaged, its content does not fit its checksum; {WAY_OUT}")
    return content


def is_sealed(content: bytes) -> bool:
    """Whether a file ends in a checksum."""
    return content[-len(PREFIX) - DIGITS : -DIGITS] == PREFIX


def check_sealed(path: Path, content: bytes) -> None:
    """Refuse a file that has no checksum, so that nothing tells whether it is as it was written.

    Raises:
        ModelError: It has none.
    """
    if not is_sealed(content):
        raise ModelError(f"{path}: its checksum is not there, so it is damaged, or was changed; {WAY_OUT}")
