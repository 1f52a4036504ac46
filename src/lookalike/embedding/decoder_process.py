"""Process that reads, decodes and prepares photos for the one that started it, see `decoder_pool`.

The parent sends photos, and gets the file stamps of the first of them, as many as may be in memory. It answers which of
these are to be prepared, and gets them prepared. A photo that cannot be read, or that takes too much memory here, is
None: the parent then reads it itself, and so has its error.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Final

from lookalike.embedding.photo_reading import prepare_parts, size_and_time, stamp_of
from lookalike.embedding.protocol import Prepared, SeparatePreparation
from lookalike.errors import LookalikeError
from lookalike.images import Budget, read_bytes
from lookalike.types import Box, FileStamp

MOST_HELD: Final = 16 * 2**20
"""Bytes of files after which no further one is read until these are prepared."""


@dataclass(frozen=True, slots=True)
class PhotoSource:
    """Photo to read.

    Attributes:
        name: Its name in errors.
        source: Path of its file, or its content.
        parts: Boxes to prepare; None is the whole photo.
    """

    name: str
    source: str | bytes
    parts: Sequence[Box | None]


@dataclass(frozen=True, slots=True)
class PreparedPhoto:
    """Photo that was read, and prepared if that was wanted.

    Attributes:
        parts: Its parts; None if they cannot be prepared here.
        seconds: Seconds that it took.
    """

    parts: Sequence[Prepared] | None
    seconds: float


def run(descriptor: int) -> None:
    """Work for the parent until it closes the connection, or ends.

    Args:
        descriptor: File descriptor of the connection.
    """
    try:
        with Connection(descriptor) as parent, suppress(EOFError, ConnectionError):
            preparation, memory = parent.recv()
            with Budget(memory).in_use(refuse=True):
                while True:
                    _answer(parent, preparation)
    except Exception as error:  # noqa: BLE001 - a bug: one line
        raise SystemExit(f"error: a process that decodes photos: {type(error).__name__}: {error}") from None


def _answer(parent: Connection, preparation: SeparatePreparation) -> None:
    """Read and prepare some photos."""
    read: list[tuple[PhotoSource, bytes | None, float]] = []
    stamps: list[FileStamp | None] = []
    held = 0
    for photo in parent.recv():
        if held > MOST_HELD:
            break
        started = perf_counter()
        data, stamp = _read(photo)
        held += len(data or b"")
        stamps.append(stamp)
        read.append((photo, data, perf_counter() - started))
    parent.send(stamps)
    prepared: list[tuple[Sequence[Prepared] | None, float]] = []
    for (photo, data, seconds), is_wanted in zip(read, parent.recv(), strict=True):
        started, parts = perf_counter(), None
        if is_wanted and data is not None:
            with suppress(LookalikeError):
                parts = prepare_parts(preparation, data, photo.parts, name=photo.name)
        prepared.append((parts, seconds + perf_counter() - started))
    finished = iter(preparation.finish([part for parts, _ in prepared for part in parts or ()]))
    parent.send([PreparedPhoto(parts and [next(finished) for _ in parts], seconds) for parts, seconds in prepared])


def _read(photo: PhotoSource) -> tuple[bytes | None, FileStamp | None]:
    """Content and file stamp of a photo; None for one that cannot be read."""
    if isinstance(photo.source, bytes):
        return photo.source, stamp_of(photo.source, None)
    before = size_and_time(photo.source)
    try:
        data = read_bytes(photo.source, keep=False)
    except LookalikeError:
        return None, None
    return data, stamp_of(data, before)
