"""Galleries to files and back: the original system's arrays, and Parquet."""

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
"""Every format by its name, and the files that it consists of."""


def export_gallery(gallery: Gallery, folder: Path, *, format: str, progress: Progress | None = None) -> None:
    """Write a gallery into a folder.

    Args:
        gallery: What to write.
        folder: It is made if it is not there; the files themselves must not be, nor that of their checksums.
        format: One of `FORMATS`.
        progress: Called now and then.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: A file is there already, or the gallery has nothing that the format could hold.
        LookalikeError: The disk is full, or the folder cannot be written to.
    """
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS)
    if not gallery.spaces:
        raise UsageError("the gallery is empty: there is nothing to export")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} is, or lies beneath, a file; name a folder") from None
    except OSError as error:
        raise LookalikeError(f"{folder} cannot be made: {error.strerror or error}") from error
    try:
        with placed(folder, (*FORMATS[format], sha256sums.FILE)) as parts:
            (original if format == "original" else parquet).export(gallery, parts, progress=progress)
            sha256sums.write(parts, FORMATS[format])
    except OSError as error:
        raise storage_error(f"{folder} cannot be written to", error) from error


def import_folder(folder: Path, gallery: Gallery, *, progress: Progress | None = None) -> int:
    """Add what a folder holds, in any of `FORMATS`, to a gallery; an item of the same id is replaced.

    Returns:
        How many items there were.

    Raises:
        CatalogueError: The folder holds none of the formats, or what it holds makes no sense; nothing was added then.
        MismatchError: The gallery has other spaces.
    """
    for path in (folder / name for names in (*FORMATS.values(), (sha256sums.FILE,)) for name in names):
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise CatalogueError(f"{path} is no file; expected one that `gallery export` wrote")
    if (folder / original.DEEP_FILE).exists() or (folder / original.LIST_FILE).exists():
        return original.load(folder, gallery, progress=progress)
    if (folder / parquet.FILE).exists():
        return parquet.load(folder, gallery, progress=progress)
    known = " or ".join(", ".join(files) for files in FORMATS.values())
    raise CatalogueError(f"{folder} holds nothing to import; expected {known}")
