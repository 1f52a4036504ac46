"""Segment files: memory-mapped rows of the database and the indexes over them.

    derived/
      rows-<random>/
        stamp.json    manifest: the version that the rows were copied from, sizes and checksums of the files
        unit.f32      (N, sum of D) unit vectors; unit.i16 in a gallery of int16
        unit.scales   (N, S) float32, factors of unit.i16, see `lookalike.index.row_format`
        raw.f32       (N, sum of D) raw vectors, if any was not of unit length
        numbers.i64   (N,) row numbers in the database
        unit.sums     (N,) uint64, checksum of each row of the unit vectors, see `lookalike.index.rows`
        raw.sums      the same for raw.f32
        index-<name>  indexes, each with its own checksums

A folder is written under a temporary name and renamed when it is complete; later, only indexes are added to it. All of
it can be deleted at any time, also while it is being read. Opening checks all files but the vectors, which are checked
when they are scored; `damage` checks everything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
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
from lookalike.gallery.local.segment_arrays import allocate, arrays_of, open_segment, segment_of
from lookalike.gallery.local.version import Version, VersionId
from lookalike.index import RowFormat

BATCH: Final = 4096


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
            return segment_of(version, copy_rows(connection, version, None, stop=stop))
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
    row_format = RowFormat.of(version.spaces)
    nothing = arrays_of([], row_format, raw=version.raw)
    arrays = {name: allocate(folder, name, (version.count, *part.shape[1:])) for name, part in nothing.items()}
    cursor = connection.execute("SELECT row, unit, raw, checksum FROM vectors ORDER BY row")
    at = 0
    while batch := checked_vectors(cursor.fetchmany(BATCH), row_format):
        if stop is not None and stop.is_set():
            raise StoppedError
        end = at + len(batch)
        if end > version.count:
            break
        for name, part in arrays_of(batch, row_format, raw=version.raw).items():
            arrays[name][at:end] = part
        at = end
    if at != version.count or cursor.fetchone() is not None:
        raise GalleryDamagedError(
            "the gallery's database has not as many vectors as items; `lookalike gallery verify` lists all damage"
        )
    for array in arrays.values():
        if isinstance(array, np.memmap):
            array.flush()
    return arrays
