"""Galleries to files and back: the original system's arrays, and Parquet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lookalike.errors import CatalogueError, LookalikeError, UnknownNameError, UsageError
from lookalike.gallery import original_format, parquet_format, sums
from lookalike.gallery.durable import sync_folder
from lookalike.gallery.original_format import Progress
from lookalike.gallery.protocol import Gallery

FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "original": original_format.FILES,
    "parquet": (parquet_format.FILE,),
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
        with whole_files(folder, (*FORMATS[format], sums.FILE)) as unfinished:
            (original_format if format == "original" else parquet_format).export(gallery, unfinished, progress=progress)
            sums.write(unfinished, FORMATS[format])
    except OSError as error:
        raise LookalikeError(f"{folder} cannot be written to: {error.strerror or error}") from error


@contextmanager
def whole_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Lend a folder for files, which are moved into another one when all are there; a kill leaves no half of them.

    What a kill has left while the files were being moved is deleted the next time, and nothing else.

    Args:
        folder: Where they go.
        names: Of the files.

    Raises:
        UsageError: A file is there already.
    """
    unfinished, moving = folder / f".{names[0]}.unfinished", folder / f".{names[0]}.moving"
    if moving.is_dir():
        for name in names:
            if not (moving / name).exists():
                (folder / name).unlink(missing_ok=True)
    for left in (unfinished, moving):
        if left.is_dir():
            shutil.rmtree(left)
    for name in names:
        if (folder / name).exists():
            raise UsageError(f"{folder / name} is there already; name another folder, or delete it")
    unfinished.mkdir()
    try:
        yield unfinished
        for name in names:
            with (unfinished / name).open("rb") as file:
                os.fsync(file.fileno())
        unfinished.rename(moving)
        for name in names:
            (moving / name).rename(folder / name)
        sync_folder(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(moving, ignore_errors=True)


def import_folder(folder: Path, gallery: Gallery, *, progress: Progress | None = None) -> int:
    """Add what a folder holds, in any of `FORMATS`, to a gallery; an item of the same id is replaced.

    Returns:
        How many items there were.

    Raises:
        CatalogueError: The folder holds none of the formats, or what it holds makes no sense; nothing was added then.
        MismatchError: The gallery has other spaces.
    """
    if (folder / original_format.DEEP_FILE).exists() or (folder / original_format.LIST_FILE).exists():
        return original_format.load(folder, gallery, progress=progress)
    if (folder / parquet_format.FILE).exists():
        return parquet_format.load(folder, gallery, progress=progress)
    known = " or ".join(", ".join(files) for files in FORMATS.values())
    raise CatalogueError(f"{folder} holds nothing to import; expected {known}")
