"""Query photos of a command: files, URLs, standard input and pipes."""

from __future__ import annotations

import os
import select
import stat
import sys
from io import BytesIO
from typing import Final

PATIENCE_S: Final = 60.0
"""Longest silence of a pipe, in seconds."""

PIECE: Final = 2**20
"""Bytes that are read at once."""


def opened(name: str) -> str | BytesIO:
    """Photo for the retriever. A pipe is read here, once, so that the photo can also be drawn.

    Args:
        name: A file, a URL, `-` for standard input, or a pipe, such as a shell's `<(...)`.

    Raises:
        PhotoError: The photo cannot be read, or a pipe stays silent for too long.
    """
    if name == "-":
        return read_standard_input()
    try:
        is_pipe = "://" not in name and stat.S_ISFIFO(os.stat(name).st_mode)  # noqa: PTH116 - nor is it a Path
    except (OSError, ValueError):
        return name  # reading it raises the error
    if not is_pipe:
        return name
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return read_pipe(descriptor, name=name)
    finally:
        os.close(descriptor)


def read_standard_input() -> BytesIO:
    """Read a photo from standard input, even if Python code has replaced `sys.stdin`."""
    try:
        descriptor = sys.stdin.fileno()
    except OSError:
        photo = BytesIO(sys.stdin.buffer.read())
        photo.name = "standard input"
        return photo
    return read_pipe(descriptor, name="standard input")


def read_pipe(descriptor: int, *, name: str) -> BytesIO:
    """Read a photo from a pipe, waiting at most `PATIENCE_S` at a time.

    Raises:
        PhotoError: The pipe is empty, longer than a photo may be, or silent for `PATIENCE_S`.
    """
    from lookalike.errors import PhotoError
    from lookalike.images import DEFAULT_LIMITS, read_bytes

    parts: list[bytes] = []
    left, waiting = DEFAULT_LIMITS.bytes + 1, True
    while left > 0 and waiting:
        ready, _, _ = select.select([descriptor], [], [], PATIENCE_S)
        if not ready:
            raise PhotoError(name, f"the pipe was silent for {PATIENCE_S:.0f} seconds")
        part = os.read(descriptor, min(left, PIECE))
        parts.append(part)
        left -= len(part)
        waiting = bool(part)
    photo = BytesIO(read_bytes(b"".join(parts), name=name))
    photo.name = name
    return photo
