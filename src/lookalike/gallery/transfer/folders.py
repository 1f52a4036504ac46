"""Export to and import from folders: arrays of the original system, or Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lookalike.errors import CatalogueError, LookalikeError, UnknownNameError, UsageError, storage_error
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.transfer import original, parquet
from lookalike.gallery.transfer.original import Progress
from lookalike.storage import sha256sums
from lookalike.storage.atomic import placed

FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "original": original.FILES,
    "parquet": (parquet.FILE,),
}
"""Files of each format by its name."""


def export_gallery(gallery: Gallery, folder: Path, *, format: str, progress: Progress | None = None) -> None:
    """Export a gallery to a folder.

    Args:
        gallery: Gallery to export.
        folder: Folder, created if missing; it must not hold files of the format or their checksums.
        format: One of `FORMATS`.
        progress: Called with the number of items done and in all.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: A file exists, or the gallery is empty or lacks a space of the format.
        LookalikeError: The disk is full, or the folder cannot be written to.
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    if not gallery.spaces:
        raise UsageError("the gallery is empty: there is nothing to export")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} is, or lies beneath, a file; choose a folder") from None
    except OSError as error:
        raise LookalikeError(f"{folder} cannot be created: {error.strerror or error}") from error
    try:
        with placed(folder, (*FORMATS[format], sha256sums.FILE)) as parts:
            (original if format == "original" else parquet).export(gallery, parts, progress=progress)
            sha256sums.write(parts, FORMATS[format])
    except OSError as error:
        raise storage_error(f"{folder} cannot be written to", error) from error


def import_folder(folder: Path, gallery: Gallery, *, progress: Progress | None = None) -> int:
    """Import a folder in one of `FORMATS` into a gallery; items of the same id are replaced.

    Returns:
        Number of imported items.

    Raises:
        CatalogueError: The folder holds no export, or an invalid one; nothing is added then.
        MismatchError: The gallery has other spaces.
    """
    for path in (folder / name for names in (*FORMATS.values(), (sha256sums.FILE,)) for name in names):
        if path.exists() and not path.is_file():  # opening a pipe would block
            raise CatalogueError(f"{path} is not a regular file; expected one that `gallery export` wrote")
    if (folder / original.DEEP_FILE).exists() or (folder / original.LIST_FILE).exists():
        return original.load(folder, gallery, progress=progress)
    if (folder / parquet.FILE).exists():
        return parquet.load(folder, gallery, progress=progress)
    known = " or ".join(", ".join(files) for files in FORMATS.values())
    raise CatalogueError(f"{folder} holds nothing to import; expected {known}")
