"""Metadata of ONNX files, read without ONNX Runtime, and atomic writing of such files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from lookalike.errors import ModelError
from lookalike.models.content_hash import append_checksum, read_checked
from lookalike.storage.files import NAME_KEPT

METADATA: Final = 14
"""Field of a model in ONNX's protobuf schema with the entries of its metadata, each a key (1) and a value (2)."""

OutputPooling = Literal["average", "cls"]
"""How tokens or maps of an ONNX file of others become rows; `cls` takes the first token."""

NUMBER: Final = 0
"""Wire type of numbers."""

BYTES: Final = 2
"""Wire type of everything that has a length."""


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of an ONNX file, in a few milliseconds.

    Raises:
        ModelError: The file is damaged, cannot be read, or is not ONNX.

    Source: https://protobuf.dev/programming-guides/encoding (the wire format).
    """
    content = memoryview(read_checked(path))
    try:
        entries = [dict(fields(entry)) for number, entry in fields(content) if number == METADATA]
        return {str(entry[1], "utf-8"): str(entry.get(2, b""), "utf-8") for entry in entries}
    except (IndexError, KeyError, ValueError):
        raise ModelError(f"{path}: not an ONNX file") from None


def fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Numbers and contents of the fields of a protobuf message that have a length; numbers are passed over.

    Raises:
        IndexError: The message ends too early.
        ValueError: A field is of another type.
    """
    place = 0
    while place < len(message):
        key, place = varint(message, place)
        length, place = varint(message, place)
        if key & 7 == BYTES:
            if place + length > len(message):
                raise IndexError("the message ends within a field")
            yield key >> 3, message[place : place + length]
            place += length
        elif key & 7 != NUMBER:
            raise ValueError(f"unexpected wire type {key & 7}")


def varint(message: memoryview, place: int) -> tuple[int, int]:
    """Number at a place, in groups of 7 bits, and the place after it.

    Raises:
        IndexError: The message ends too early.
        ValueError: The number has more than 64 bits.
    """
    number = 0
    for shift in range(0, 64, 7):
        byte = message[place]
        number |= (byte & 127) << shift
        place += 1
        if byte < 128:
            return number, place
    raise ValueError("a number of more than 64 bits")


def write_metadata(file: Path, about: Mapping[str, str]) -> None:
    """Check an ONNX file, replace its metadata, and append its checksum."""
    import onnx

    model = onnx.load(str(file))
    onnx.checker.check_model(model)
    del model.metadata_props[:]
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(file))
    append_checksum(file)


@contextmanager
def hidden_beside(file: Path) -> Iterator[Path]:
    """Create an empty temporary folder beside a file; a folder left by a killed process is emptied."""
    folder = file.absolute().with_name(f".{file.name[:NAME_KEPT]}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
