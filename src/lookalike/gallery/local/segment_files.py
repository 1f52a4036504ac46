"""Segment files: memory-mapped rows of the database and the indexes over them.

    derived/
      rows-<random>/
        stamp.json    what the rows were made from, and the sizes and checksums of the files
        unit.f32      (N, sum of D) concatenated unit rows
        raw.f32       the same as they were added, when any was not of unit length
        numbers.i64   (N,) the row number of each in the database
        unit.sums     (N,) uint64, a checksum of each unit row, see `lookalike.index.rows`; raw.sums alike
        index-<name>  indexes, each with checksums of its own

A folder is written under a temporary name and renamed when it is complete, and never changed afterwards except that
indexes join it. All of it can be deleted at any time, also while it is being read. Opening reads all but the rows,
which are checked when they are scored; `damage` reads everything.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import threading
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lookalike.errors import GalleryDamagedError, LookalikeError, short_reason
from lookalike.gallery.local.manifest import checksum, read_manifest, write_manifest
from lookalike.gallery.local.row_checksums import checked_vectors
from lookalike.gallery.local.segment import Segment
from lookalike.gallery.local.version import Version
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
"""The name of each file and what it is an array of."""

ROWS: Final = ("unit", "raw")

CANNOT_RESERVE: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems answer that cannot reserve room."""


class SegmentFolderError(LookalikeError):
    """Segment files cannot be written: the disk is full, read-only or failing, or something else has their name."""


class StoppedError(Exception):
    """The build of a segment was told to stop; only its caller sees this error."""


class SegmentFiles:
    """The folder of segment files of one gallery."""

    def __init__(self, gallery: Path) -> None:
        self._folder = gallery / "derived"
        self._lock_path = gallery / "build.lock"
        self._refused: set[str] = set()

    def open(self, connection: sqlite3.Connection) -> Segment | None:
        """Open the newest rows that are whole and were made from an earlier state of the database.

        Args:
            connection: In a transaction.
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
        """Open rows that turned out to be damaged never again, and delete them if that is asked for."""
        if damaged.folder is not None:
            self._refused.add(damaged.folder.name)
            if delete:
                shutil.rmtree(damaged.folder, ignore_errors=True)

    @contextlib.contextmanager
    def building(self, *, wait_s: float) -> Iterator[bool]:
        """Be the only process that derives; yields whether that is so.

        Args:
            wait_s: Seconds to wait for another process that is at it; 0 asks once.

        Raises:
            SegmentFolderError: There is no knowing, for the lock cannot be made.
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
        """Derive the rows of the state that a connection sees; None when there are no items.

        Args:
            connection: In a transaction.
            keep: On disk, beside what was kept before; the caller is `building`. Else in memory.
            stop: Set to have it stop before it is through.

        Raises:
            GalleryDamagedError: The database contradicts itself.
            SegmentFolderError: They cannot be kept.
            StoppedError: It was asked to stop.
        """
        version = Version.now(connection)
        if version.count == 0:
            return None
        if not keep:
            return Segment(version, gather(connection, version, None, stop=stop), None)
        try:
            for old in self._folder.glob(".new-*"):  # of a process that died
                shutil.rmtree(old, ignore_errors=True)
            temporary = self._folder / f".new-{uuid.uuid4().hex}"
            temporary.mkdir(parents=True)
            try:
                gather(connection, version, temporary, stop=stop)
                write_manifest(temporary, version)
                folder = temporary.rename(self._folder / f"rows-{uuid.uuid4().hex[:12]}")
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            return open_segment(folder)
        except (OSError, ValueError) as error:
            raise SegmentFolderError(f"{self._folder} cannot be written: {short_reason(error)}") from error

    def damage(self) -> list[str]:
        """Read all that is kept and say what is wrong with it; an empty list is a clean bill."""
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
        """Delete all rows and indexes but these; the caller is `building`."""
        for old in self._folder.glob("rows-*"):
            if segment is None or old != segment.folder:
                shutil.rmtree(old, ignore_errors=True)

    def bytes(self) -> int:
        """Size on disk."""
        total = 0
        for folder, _, names in os.walk(self._folder):  # which passes over what vanishes meanwhile
            for name in names:
                with contextlib.suppress(OSError):
                    total += (Path(folder) / name).stat().st_size
        return total


def newer(first: Segment | None, second: Segment | None) -> Segment | None:
    """The one that was made from the later state of the database; of the same state, the first."""
    if first is None or second is None:
        return first or second
    return max(first, second, key=lambda segment: (segment.version.last_row, segment.version.last_removal))


def gather(
    connection: sqlite3.Connection, version: Version, folder: Path | None, *, stop: threading.Event | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Copy all rows out of the database, into files or into memory.

    Raises:
        GalleryDamagedError: There are not as many as the database says.
        OSError: The disk is full.
        StoppedError: It was asked to stop.
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
        keep(arrays, "unit", at, read_vectors([unit for _, unit, _, _ in batch], width=columns))
        if version.raw:
            keep(arrays, "raw", at, read_vectors([raw or unit for _, unit, raw, _ in batch], width=columns))
        at = end
    if at != version.count or cursor.fetchone() is not None:
        raise GalleryDamagedError("the database counts other items than it holds vectors; see `gallery verify`")
    for array in arrays.values():
        if isinstance(array, np.memmap):
            array.flush()
    return arrays


def keep(arrays: dict[str, npt.NDArray[Any]], name: str, at: int, rows: Float32) -> None:
    """Put rows, (B, sum of D) float32, and their checksums into their places."""
    arrays[name][at : at + len(rows)] = rows
    arrays[f"{name} sums"][at : at + len(rows)] = row_sums(rows)


def allocate(folder: Path | None, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """An array in memory, or in a file of its own, whose room is reserved: writing to memory cannot say what is full.

    Raises:
        OSError: There is no room.
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
    """Map the rows of a folder into memory.

    Raises:
        OSError: A file is missing.
        ValueError: A file is not what the manifest says.
    """
    manifest = read_manifest(folder)
    version = Version.from_json(manifest["origin"])
    shape = (version.count, width(version.spaces))
    files = manifest["files"]
    rows = {name: mapped_rows(folder, name, files, shape=shape) for name in (ROWS if version.raw else ROWS[:1])}
    return Segment(version, {**rows, "numbers": read_whole(folder, "numbers", files)}, folder)


def mapped_rows(folder: Path, name: str, about: dict[str, Any], *, shape: tuple[int, int]) -> Rows:
    """Map rows into memory, and read their checksums.

    Args:
        folder: Where they are.
        name: `unit` or `raw`.
        about: Sizes and checksums of files, by name.
        shape: (N, D).

    Raises:
        OSError: A file is missing.
        ValueError: A file is not what the manifest says.
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
    """Read a file into memory.

    Raises:
        OSError: It is missing.
        ValueError: It is not what the manifest says.
    """
    file_name, dtype = FILES[name]
    content = (folder / file_name).read_bytes()
    if zlib.crc32(content) != about[file_name]["checksum"]:
        raise ValueError(f"{folder / file_name} is damaged")
    return np.frombuffer(content, dtype=dtype)
