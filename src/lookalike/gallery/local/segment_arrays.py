"""Arrays of segment files: what each holds, made from rows of the database, written and opened."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lookalike.gallery.local.manifest import read_manifest
from lookalike.gallery.local.row_checksums import VectorRow
from lookalike.gallery.local.segment import Segment
from lookalike.gallery.local.version import Version
from lookalike.gallery.records import read_raw_vectors
from lookalike.index import Mapped, RowFormat, Rows, row_sums

FILES: Final = {
    "numbers": ("numbers.i64", "<i8"),
    "unit": ("unit.f32", "<f4"),
    "unit int16": ("unit.i16", "<i2"),
    "unit scales": ("unit.scales", "<f4"),
    "unit sums": ("unit.sums", "<u8"),
    "raw": ("raw.f32", "<f4"),
    "raw sums": ("raw.sums", "<u8"),
}
"""File name and dtype of each array."""

CANNOT_RESERVE: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
"""Errors of file systems that cannot reserve space."""


def arrays_of(batch: Sequence[VectorRow], row_format: RowFormat, *, raw: bool) -> dict[str, npt.NDArray[Any]]:
    """Make the arrays of `FILES` of some rows.

    Args:
        batch: Rows of the database.
        row_format: Format of the unit vectors.
        raw: Whether to make raw vectors.
    """
    stored = row_format.read([unit for _, unit, _, _ in batch])
    numbers = np.array([row for row, *_ in batch], dtype=np.int64)
    made = {"numbers": numbers, unit_name(row_format): stored, "unit sums": row_sums(stored)}
    if (scales := row_format.scales(stored)) is not None:
        made["unit scales"] = scales
    if raw:
        made["raw"] = read_raw_vectors([(unit, raw_unit) for _, unit, raw_unit, _ in batch], row_format)
        made["raw sums"] = row_sums(made["raw"])
    return made


def unit_name(row_format: RowFormat) -> str:
    """Name of the array of unit vectors."""
    return "unit int16" if row_format.is_int16 else "unit"


def segment_of(version: Version, arrays: Mapping[str, npt.NDArray[Any]]) -> Segment:
    """A segment in memory, of the arrays of `copy_rows`."""
    row_format = RowFormat.of(version.spaces)
    unit = Rows(arrays[unit_name(row_format)], scales=arrays.get("unit scales"), places=row_format.places)
    raw = Rows(arrays["raw"]) if version.raw else None
    return Segment(version, arrays["numbers"], unit, raw, folder=None)


def allocate(folder: Path | None, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Allocate an array in memory, or in a file whose space is reserved: a full disk is no error of a mapped write.

    Raises:
        OSError: The disk is full.
    """
    file_name, dtype = FILES[name]
    if folder is None:
        return np.empty(shape, dtype=dtype)
    array = np.memmap(folder / file_name, dtype=dtype, mode="w+", shape=shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with (folder / file_name).open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, array.nbytes)
            except OSError as error:
                if error.errno not in CANNOT_RESERVE:
                    raise
    return array


def open_segment(folder: Path) -> Segment:
    """Open a segment with memory-mapped vectors.

    Raises:
        OSError: A file is missing.
        ValueError: A file differs from the manifest.
    """
    manifest = read_manifest(folder)
    version = Version.from_json(manifest["origin"])
    row_format, files = RowFormat.of(version.spaces), manifest["files"]
    shape = (version.count, row_format.width)
    scales = None
    if row_format.is_int16:
        scales = read_whole(folder, "unit scales", files).reshape(version.count, len(row_format.places))
    file, array, sums = mapped(folder, unit_name(row_format), "unit sums", files, shape=shape)
    unit, raw = Rows(array, scales=scales, places=row_format.places, sums=sums, file=file), None
    if version.raw:
        file, array, sums = mapped(folder, "raw", "raw sums", files, shape=shape)
        raw = Rows(array, sums=sums, file=file)
    return Segment(version, read_whole(folder, "numbers", files), unit, raw, folder=folder)


def mapped(
    folder: Path, name: str, sums_name: str, about: dict[str, Any], *, shape: tuple[int, int]
) -> tuple[Mapped, npt.NDArray[Any], npt.NDArray[Any]]:
    """Map vectors into memory, and read their checksums: the file, the array and the checksums.

    Args:
        folder: Folder of the segment.
        name: Name of the array in `FILES`.
        sums_name: Name of the array of checksums.
        about: Sizes and checksums of files, by name, from the manifest.
        shape: (N, sum of D).

    Raises:
        OSError: A file is missing.
        ValueError: A file differs from the manifest.
    """
    file_name, dtype = FILES[name]
    file = Mapped(folder / file_name)
    sums = read_whole(folder, sums_name, about)
    if file.size() != about[file_name]["bytes"] or sums.shape != shape[:1]:
        raise ValueError(f"{file.path} is damaged")
    array = np.asarray(np.memmap(file.path, dtype=dtype, mode="r", shape=shape))
    if not os.path.samestat(os.fstat(file.descriptor), file.path.stat()):
        raise ValueError(f"{file.path} was replaced")
    return file, array, sums


def read_whole(folder: Path, name: str, about: dict[str, Any]) -> npt.NDArray[Any]:
    """Read an array into memory.

    Raises:
        OSError: The file is missing.
        ValueError: The file differs from the manifest.
    """
    file_name, dtype = FILES[name]
    content = (folder / file_name).read_bytes()
    if zlib.crc32(content) != about[file_name]["checksum"]:
        raise ValueError(f"{folder / file_name} is damaged")
    return np.frombuffer(content, dtype=dtype)
