"""What the runs of a sweep have in common, in a folder beside theirs: checksums of photos, and rows by a teacher."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Final

from lookalike.storage.files import write_whole, written_whole

SHARED: Final = ".shared"
"""Folder in that of a sweep."""

DIGESTS: Final = "photos.json"


def shared_beside(run: Path) -> Path | None:
    """Folder that a run shares with others; None for a run that is in no sweep."""
    folder = run.absolute().parent / SHARED
    return folder if folder.is_dir() else None


class PhotoDigests:
    """SHA-256 of photos' files. A file whose size and time are those of before is not read again.

    Args:
        folder: Folder with the checksums that are known, and that `save` writes to; None keeps none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / DIGESTS
        self._known = {} if self._file is None else _read(self._file)
        self._found: dict[str, tuple[int, int, str]] = {}

    def of(self, photo: str, *, size: int, modified_ns: int) -> str:
        """Checksum of a photo; empty if it cannot be read. Several threads may call it.

        Args:
            photo: Path.
            size: Its bytes now.
            modified_ns: Time of its last change, ns since 1970.
        """
        known = self._known.get(photo)
        sha256 = known[2] if known is not None and known[:2] == (size, modified_ns) else digest(photo)
        if sha256:
            self._found[photo] = (size, modified_ns, sha256)
        return sha256

    def save(self) -> None:
        """Write the checksums for the next run.

        Raises:
            OSError: They cannot be written.
        """
        if self._file is not None and self._found.items() - self._known.items():
            write_whole(self._file, json.dumps({**self._known, **self._found}, ensure_ascii=True).encode())


def _read(file: Path) -> dict[str, tuple[int, int, str]]:
    """Read checksums; none of a file that is missing or damaged, since all can be made again."""
    try:
        kept = json.loads(file.read_bytes())
        return {str(photo): (int(size), int(time), str(sha256)) for photo, (size, time, sha256) in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def digest(photo: str) -> str:
    """SHA-256 of a file; empty if it cannot be read."""
    try:
        with Path(photo).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def put_beside(file: Path, to: Path) -> None:
    """Give a finished file, which is replaced and never changed, a second place: as a link, or else as a copy.

    Raises:
        OSError: The copy cannot be written.
    """
    with written_whole(to) as unfinished:
        try:
            os.link(file, unfinished)
        except OSError:  # another file system, or one without links
            shutil.copyfile(file, unfinished)
