"""Where the jobs of a gallery are kept, and opening them."""

from __future__ import annotations

from pathlib import Path

from lookalike.errors import UsageError
from lookalike.gallery.protocol import Gallery
from lookalike.jobs.database import NAME, exists
from lookalike.jobs.queue import JobQueue


def place_of_jobs(gallery: Gallery, folder: str = "") -> Path:
    """File of the jobs of a gallery.

    Args:
        gallery: The gallery.
        folder: Folder of the files of several galleries; empty means the folder of the gallery.

    Raises:
        UsageError: The gallery is not in a folder, and none is given.
    """
    if folder:
        return Path(folder) / f"{gallery.photo_owner()[0]}.{NAME}"
    inside = gallery.photo_folder
    if inside is None:
        raise UsageError("a gallery on a Milvus server has no folder for its jobs; name one as `jobs`")
    return inside.parent / NAME


def open_jobs(gallery: Gallery, folder: str = "") -> JobQueue | None:
    """Open the jobs of a gallery for reading; None if it never had any.

    Raises:
        UsageError: The gallery is not in a folder, and none is given.
        LookalikeError: The file cannot be read.
    """
    path = place_of_jobs(gallery, folder)
    return JobQueue(path) if exists(path) else None
