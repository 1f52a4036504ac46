"""Folders of derived files: complete, or absent."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def new_folder(derived: Path, kind: str) -> Iterator[tuple[Path, Path]]:
    """Make a folder under a temporary name, and rename it when the context ends without an error.

    Args:
        derived: Folder for it; the caller holds the lock of `SegmentFiles.building`.
        kind: First part of its name.

    Yields:
        Its path within the context, and its path afterwards.

    Raises:
        OSError: The folder cannot be made.
    """
    for old in derived.glob(".new-*"):  # left by a killed process
        shutil.rmtree(old, ignore_errors=True)
    temporary, folder = derived / f".new-{uuid.uuid4().hex}", derived / f"{kind}-{uuid.uuid4().hex[:12]}"
    temporary.mkdir(parents=True)
    try:
        yield temporary, folder
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
