"""Segment files: memory-mapped rows of the database and the indexes over them.

    derived/
      rows-<random>/
        stamp.json    manifest: the version that the rows were copied from, sizes and checksums of the files
        unit.f32      (N, sum of D) unit vectors
        raw.f32       (N, sum of D) raw vectors, if any was not of unit length
        numbers.i64   (N,) row numbers in the database
        unit.sums     (N,) uint64, checksum of each row of unit.f32, see `lookalike.index.rows`
        raw.sums      the same for raw.f32
        index-<name>  indexes, each with its own checksums

A folder is written under a temporary name and renamed when it is complete; later, only indexes are added to it. All of
it can be deleted at any time, also while it is being read. Opening checks all files but the vectors, which are checked
when they are scored; `damage` checks everything.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lookalike.errors import GalleryDamagedError, LookalikeError, short_reason
from lookalike.gallery.local.derived_folder import new_folder
from lookalike.gallery.local.manifest import checksum, read_manifest, write_manifest
from lookalike.gallery.local.row_checksums import checked_vectors
from lookalike.gallery.local.segment import Segment
from lookalike.gallery.local.version import Version, VersionId
from lookalike.gallery.records import read_vectors
from lookalike.index import Mapped, Rows, row_sums
from lookalike.spaces import width
from lookalike.types import Float32

BATCH: Final = 4096
FILES: Final = {
    "numbers": ("numbers.i64", "<i8"),
    "unit": ("unit.f32", "<f4"),
    "unit sums": ("unit.sums", "<u8"),
    "raw": ("raw.f32", "<f4"),
    "raw sums": ("raw.sums", "<u8"),
}
"""File name and dtype of each array."""

ROWS: Final = ("unit", "raw")

CANNOT_RESERVE: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
"""Errors of file systems that cannot reserve space."""


class SegmentFolderError(LookalikeError):
    """Segment files cannot be written: the disk is full, read-only or failing, or another file has their name."""


class StoppedError(Exception):
    """The build of a segment was stopped; handled by its caller."""


class SegmentFiles:
    """Folder of a gallery's segment files.

    Args:
        gallery: Folder of the gallery.
    """

    def __init__(self, gallery: Path) -> None:
        self._folder = gallery / "derived"
        self._lock_path = gallery / "build.lock"
        self._refused: set[str] = set()

    def open(self, connection: sqlite3.Connection) -> Segment | None:
        """Open the newest undamaged segment of the database's history; None without one.

        Args:
            connection: Connection in a transaction.
        """
        newest: Segment | None = None
        for folder in sorted(self._folder.glob("rows-*")):
            if folder.name in self._refused:
                continue
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                segment = open_segment(folder)
                if segment.version.is_past_of(connection):
                    newest = newer(newest, segment)
        return newest

    def refuse(self, damaged: Segment, *, delete: bool) -> None:
        """Never open a damaged segment again.

        Args:
            damaged: Segment in which damage was found.
            delete: Delete its files.
        """
        if damaged.folder is not None:
            self._refused.add(damaged.folder.name)
            if delete:
                shutil.rmtree(damaged.folder, ignore_errors=True)

    def refuse_version(self, version: VersionId, *, delete: bool) -> None:
        """Refuse all rows that were made from one state of the database; see `refuse`."""
        for folder in self._folder.glob("rows-*"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                segment = open_segment(folder)
                if segment.version.id == version:
                    self.refuse(segment, delete=delete)

    @contextlib.contextmanager
    def building(self, *, wait_s: float) -> Iterator[bool]:
        """Hold the lock for building segments; yields whether this process has it.

        Args:
            wait_s: Seconds to wait for another process that builds; 0 tries once.

        Raises:
            SegmentFolderError: The lock file cannot be written.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._lock_path, thread_local=False)
        try:
            lock.acquire(timeout=wait_s, poll_interval=0.05)
        except Timeout:
            yield False
            return
        except OSError as error:
            raise SegmentFolderError(f"{self._lock_path} cannot be written: {error.strerror or error}") from error
        try:
            yield True
        finally:
            lock.release()

    def build(
        self, connection: sqlite3.Connection, *, keep: bool, stop: threading.Event | None = None
    ) -> Segment | None:
        """Build a segment of the version that a connection sees; None without items.

        Args:
            connection: Connection in a transaction.
            keep: Write the segment to disk, beside older ones; the caller holds the lock of `building`. False builds it
                in memory.
            stop: Event that stops the build.

        Raises:
            GalleryDamagedError: The number of vectors is not that of the items.
            SegmentFolderError: The segment cannot be written.
            StoppedError: The build was stopped.
        """
        version = Version.now(connection)
        if version.count == 0:
            return None
        if not keep:
            return Segment(version, copy_rows(connection, version, None, stop=stop), None)
        try:
            with new_folder(self._folder, "rows") as (temporary, folder):
                copy_rows(connection, version, temporary, stop=stop)
                write_manifest(temporary, version)
            return open_segment(folder)
        except (OSError, ValueError) as error:
            raise SegmentFolderError(f"{self._folder} cannot be written: {short_reason(error)}") from error

    def damage(self) -> list[str]:
        """Read all segment files, and list their damage, one message each."""
        problems = []
        for folder in sorted(self._folder.glob("rows-*")):
            try:
                manifest = read_manifest(folder)
                for name, recorded in manifest["files"].items():
                    if checksum(folder / name) != recorded["checksum"]:
                        problems.append(f"{folder / name} is damaged")
            except (OSError, ValueError, KeyError, TypeError) as error:
                problems.append(f"{folder} is damaged: {error}")
        return problems

    def keep_only(self, segment: Segment | None) -> None:
        """Delete all segments but one; the caller holds the lock of `building`."""
        for old in self._folder.glob("rows-*"):
            if segment is None or old != segment.folder:
                shutil.rmtree(old, ignore_errors=True)

    def bytes(self) -> int:
        """Size on disk, bytes."""
        total = 0
        for folder, _, names in os.walk(self._folder):  # ignores files that vanish meanwhile
            for name in names:
                with contextlib.suppress(OSError):
                    total += (Path(folder) / name).stat().st_size
        return total


def newer(first: Segment | None, second: Segment | None) -> Segment | None:
    """The segment of the later version; the first if both are of one version."""
    if first is None or second is None:
        return first or second
    return max(first, second, key=lambda segment: (segment.version.last_row, segment.version.last_removal))


def copy_rows(
    connection: sqlite3.Connection, version: Version, folder: Path | None, *, stop: threading.Event | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Copy all rows from the database into arrays.

    Args:
        connection: Connection in a transaction.
        version: Version that the connection sees.
        folder: Folder for memory-mapped files; None allocates memory.
        stop: Event that stops the copy.

    Raises:
        GalleryDamagedError: The number of vectors is not that of the items.
        OSError: The disk is full.
        StoppedError: The copy was stopped.
    """
    columns = width(version.spaces)
    shapes: dict[str, tuple[int, ...]] = {"numbers": (version.count,)}
    for name in ROWS if version.raw else ROWS[:1]:
        shapes[name] = (version.count, columns)
        shapes[f"{name} sums"] = (version.count,)
    arrays = {name: allocate(folder, name, shape) for name, shape in shapes.items()}
    cursor = connection.execute("SELECT row, unit, raw, checksum FROM vectors ORDER BY row")
    at = 0
    while batch := checked_vectors(cursor.fetchmany(BATCH), width=columns):
        if stop is not None and stop.is_set():
            raise StoppedError
        end = at + len(batch)
        if end > version.count:
            break
        arrays["numbers"][at:end] = [row for row, *_ in batch]
        write_rows(arrays, "unit", at, read_vectors([unit for _, unit, _, _ in batch], width=columns))
        if version.raw:
            write_rows(arrays, "raw", at, read_vectors([raw or unit for _, unit, raw, _ in batch], width=columns))
        at = end
    if at != version.count or cursor.fetchone() is not None:
        raise GalleryDamagedError(
            "the gallery's database has not as many vectors as items; `lookalike gallery verify` lists all damage"
        )
    for array in arrays.values():
        if isinstance(array, np.memmap):
            array.flush()
    return arrays


def write_rows(arrays: dict[str, npt.NDArray[Any]], name: str, at: int, rows: Float32) -> None:
    """Write rows, (B, sum of D) float32, and their checksums to the arrays from position `at` on."""
    arrays[name][at : at + len(rows)] = rows
    arrays[f"{name} sums"][at : at + len(rows)] = row_sums(rows)


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
    shape = (version.count, width(version.spaces))
    files = manifest["files"]
    rows = {name: mapped_rows(folder, name, files, shape=shape) for name in (ROWS if version.raw else ROWS[:1])}
    return Segment(version, {**rows, "numbers": read_whole(folder, "numbers", files)}, folder)


def mapped_rows(folder: Path, name: str, about: dict[str, Any], *, shape: tuple[int, int]) -> Rows:
    """Map vectors into memory, and read their checksums.

    Args:
        folder: Folder of the segment.
        name: `unit` or `raw`.
        about: Sizes and checksums of files, by name, from the manifest.
        shape: (N, sum of D).

    Raises:
        OSError: A file is missing.
        ValueError: A file differs from the manifest.
    """
    file_name, dtype = FILES[name]
    file = Mapped(folder / file_name)
    sums = read_whole(folder, f"{name} sums", about)
    if file.size() != about[file_name]["bytes"] or sums.shape != shape[:1]:
        raise ValueError(f"{file.path} is damaged")
    array = np.asarray(np.memmap(file.path, dtype=dtype, mode="r", shape=shape))
    if not os.path.samestat(os.fstat(file.descriptor), file.path.stat()):
        raise ValueError(f"{file.path} was replaced")
    return Rows(array, sums=sums, file=file)


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
