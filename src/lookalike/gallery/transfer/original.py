"""Files of the original system, deep-fashion-retrieval: two arrays and a list of photos.

all_feat.npy        (N, D) float32, deep features, not normalised
all_color_feat.npy  (N, C) float32, colour features; the original's own have 30 columns
all_feat.list       one photo path per line, in the same order, relative to the folder of the data set, which holds all
                    three files; without a line break at its end
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from lookalike.errors import CatalogueError, UsageError, short_reason
from lookalike.gallery.protocol import Gallery
from lookalike.spaces import Space
from lookalike.storage import sha256sums
from lookalike.types import Float32, Item

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of items done and in all."""

DEEP_FILE: Final = "all_feat.npy"
COLOR_FILE: Final = "all_color_feat.npy"
LIST_FILE: Final = "all_feat.list"
FILES: Final = (DEEP_FILE, COLOR_FILE, LIST_FILE)

IN_SHOP: Final = "in_shop"
"""Folder of the original's In-shop photos."""

ORIGINAL_COLORS: Final = 30
MAKER: Final = "imported:original"
BATCH: Final = 4096


def export(gallery: Gallery, folder: Path, *, progress: Progress | None = None) -> None:
    """Write the raw vectors of a gallery and the paths of its photos.

    Paths are relative to the catalogue's folder, or absolute if photos of several folders have the same relative path.

    Raises:
        UsageError: The gallery has no deep or no colour space, a path contains a line break, or an item has several
            garments.
    """
    names = {space.name: space.dimension for space in gallery.spaces}
    color = next((name for name in ("color-original", "color") if name in names), None)
    if "deep" not in names or color is None:
        raise UsageError(f"the original's files need the spaces deep and color, and the gallery has {sorted(names)}")
    with (
        (folder / DEEP_FILE).open("xb") as deep_file,
        (folder / COLOR_FILE).open("xb") as color_file,
        (folder / LIST_FILE).open("x", encoding="utf-8", newline="\n") as list_file,
    ):
        paths: list[str] = []
        whole_paths: list[str] = []
        deep_rows = RowWriter(deep_file, columns=names["deep"])
        color_rows = RowWriter(color_file, columns=names[color])
        for items, vectors in gallery.rows():
            for item in items:
                if not item.location or "\n" in item.location or "\r" in item.location:
                    raise UsageError(
                        f"the path of the photo of {item.id!r} is empty or has a line break, which the list cannot hold"
                    )
                if len(item.parts) > 1:
                    raise UsageError(
                        f"{item.id!r} has {len(item.garments)} garments, and the original's files hold one row for "
                        "each photo; export as parquet or gallery"
                    )
            deep_rows.write(vectors["deep"])
            color_rows.write(vectors[color])
            paths += [item.photo for item in items]
            whole_paths += [item.location for item in items]
            if progress is not None:
                progress(deep_rows.count, len(gallery))
        list_file.write("\n".join(paths if len(set(paths)) == len(paths) else whole_paths))
        deep_rows.finish()
        color_rows.finish()


class RowWriter:
    """Writes a .npy file whose number of rows is not known beforehand.

    Args:
        file: File open for writing.
        columns: Number of columns.
    """

    def __init__(self, file: BinaryIO, *, columns: int) -> None:
        self._file = file
        self._columns = columns
        self.count = 0
        self._write_header()
        self._data_begins = file.tell()

    def write(self, rows: Float32) -> None:
        """Append rows, (B, columns)."""
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
        self.count += len(rows)

    def finish(self) -> None:
        """Write the number of rows into the header, for which the format leaves room."""
        self._file.seek(0)
        self._write_header()
        assert self._file.tell() == self._data_begins

    def _write_header(self) -> None:
        npy.write_array_header_1_0(
            self._file, {"descr": "<f4", "fortran_order": False, "shape": (self.count, self._columns)}
        )


def load(folder: Path, gallery: Gallery, *, progress: Progress | None = None) -> int:
    """Import the original's files into a gallery; ids are the paths of the photos.

    Photos are looked up beneath the folder of the files and beneath its `in_shop`. All files are checked before items
    are added.

    Returns:
        Number of imported items.

    Raises:
        CatalogueError: A file is missing or invalid, or the files do not fit together.
        MismatchError: The gallery has other spaces.
    """
    paths = read_paths(folder / LIST_FILE)
    deep = read_array(folder / DEEP_FILE, count=len(paths))
    color = read_array(folder / COLOR_FILE, count=len(paths))
    sha256sums.check(folder, FILES)
    color_name = "color-original" if color.shape[1] == ORIGINAL_COLORS else "color"
    spaces = [Space("deep", deep.shape[1], MAKER), Space(color_name, color.shape[1], MAKER)]
    source = f"import:{folder.absolute()}"
    with gallery.writing():
        for at in range(0, len(paths), BATCH):
            items = [Item(id=path, photo=path, root=root_of(path, folder)) for path in paths[at : at + BATCH]]
            vectors = {"deep": as_float32(deep[at : at + BATCH]), color_name: as_float32(color[at : at + BATCH])}
            gallery.add(items, vectors, spaces=spaces, source=source)
            if progress is not None:
                progress(at + len(items), len(paths))
        gallery.optimise()
    return len(paths)


def root_of(path: str, folder: Path) -> str:
    """Root of a photo: the folder or its `in_shop`, whichever has the photo; empty if neither has."""
    for root in (folder.absolute(), folder.absolute() / IN_SHOP):
        if "://" not in path and os.path.isfile(root / path):  # noqa: PTH113 - Path.is_file raises on odd paths
            return str(root)
    return ""


def read_paths(path: Path) -> list[str]:
    """Read the paths of photos, one per line.

    Raises:
        CatalogueError: The file cannot be read, is empty, or has an empty line or a path twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise CatalogueError(f"{path}: expected UTF-8 text, one path per line") from None
    lines = text.removesuffix("\n").split("\n")
    if lines == [""]:
        raise CatalogueError(f"{path}: expected one path per line, got an empty file")
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise CatalogueError(f"{path}:{number}: expected a path, got an empty line")
        first = seen.setdefault(line, number)
        if first != number:
            raise CatalogueError(f"{path}:{number}: the path {line!r} is on line {first} already")
    return lines


def read_array(path: Path, *, count: int) -> npt.NDArray[np.floating]:
    """Map an array of features into memory, and check all its numbers.

    Raises:
        CatalogueError: It is not an array of finite floating-point numbers with one row per path.
    """
    try:
        array: npt.NDArray[np.floating] = npy.open_memmap(path, mode="r")
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # NumPy raises many types for invalid files; nothing is unpickled
        raise CatalogueError(f"{path}: not an array of numbers that NumPy can read ({short_reason(error)})") from error
    if array.ndim != 2 or array.shape[1] == 0 or array.dtype.kind != "f":
        shape = f"{array.dtype} {array.shape}"
        raise CatalogueError(f"{path}: expected floating-point numbers of shape (N, D), got {shape}")
    if len(array) != count:
        raise CatalogueError(f"{path}: {len(array)} rows, and {LIST_FILE} has {count} lines")
    for start, rows in in_batches(array):
        strange = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(strange):
            raise CatalogueError(f"{path}: row {start + int(strange[0])} (from 0) holds numbers that are not finite")
    return array


def in_batches(array: npt.NDArray[np.floating]) -> Iterator[tuple[int, Float32]]:
    """Iterate over batches: start, and rows, (B, D) float32."""
    for start in range(0, len(array), BATCH):
        yield start, as_float32(array[start : start + BATCH])


def as_float32(rows: npt.NDArray[np.floating]) -> Float32:
    """Copy rows to float32; numbers beyond its range become infinite."""
    with np.errstate(over="ignore"):
        return np.array(rows, dtype=np.float32)
