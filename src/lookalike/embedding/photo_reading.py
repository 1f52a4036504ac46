"""Reading of a photo's file with its file stamp, and preparation of its parts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from lookalike.embedding.protocol import Preparation, Prepared
from lookalike.images import open_image
from lookalike.remote.addresses import is_address
from lookalike.types import Box, FileStamp


def size_and_time(location: str) -> tuple[int, int] | None:
    """Size (bytes) and modification time (ns since 1970) of a local file; None for URLs and missing files."""
    if is_address(location):
        return None
    try:
        found = os.stat(location)  # noqa: PTH116 - a Path takes longer than the question
    except (OSError, ValueError):  # ValueError for names that no file can have
        return None
    return found.st_size, found.st_mtime_ns


def stamp_of(data: bytes, before: tuple[int, int] | None) -> FileStamp:
    """File stamp of a photo's content.

    Args:
        data: Content.
        before: Size and modification time before it was read, so that the next run sees a change made meanwhile; None
            if there are none.
    """
    return FileStamp(len(data), before[1] if before else 0, hashlib.sha256(data).hexdigest())


def prepare_parts(
    preparation: Preparation, data: bytes, parts: Sequence[Box | None], *, name: str
) -> Sequence[Prepared]:
    """Decode and prepare parts of a photo.

    Args:
        preparation: Prepares them.
        data: Content of the photo's file.
        parts: Boxes; None is the whole photo.
        name: Name of the photo in errors.

    Raises:
        PhotoError: The photo cannot be decoded.
    """
    size = preparation.wanted_size
    return [preparation.prepare(open_image(data, at_least=size, box=part, name=name)) for part in parts]
