"""Backups of galleries in folders, made while the galleries are searched and written to, and verified when written."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from lookalike.errors import (
    BackupError,
    LookalikeError,
    StorageFailedError,
    StorageFullError,
    UsageError,
    storage_error,
)
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.opening import HasGallery, gallery_of
from lookalike.gallery.transfer.backup_archive import DATABASE, EVENTS, ArchiveWriter, Readable, Writable, read_archive
from lookalike.gallery.transfer.backup_parts import events_copy, model_files, photo_bytes, sent_photos, take_snapshot
from lookalike.remote import object_store, streams
from lookalike.remote.addresses import is_address, shown
from lookalike.storage.atomic import placed
from lookalike.storage.files import open_regular
from lookalike.types import JSON

ENDING: Final = ".tar"

MARGIN: Final = 16 << 20
"""Bytes that a disk must have beyond those of the backup."""

MEGABYTE: Final = 1_000_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Backup:
    """Result of `backup`.

    Attributes:
        place: Path or address of the archive.
        items: Number of items.
        photos: Number of uploaded photos.
        models: Number of files of models.
        bytes: Length of the archive.
        left_out: One line for each uploaded photo or model that is missing in the gallery.
    """

    place: str
    items: int
    photos: int
    models: int
    bytes: int
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, JSON]:
        """JSON of `lookalike gallery backup --json`."""
        return {
            "place": self.place,
            "items": self.items,
            "photos": self.photos,
            "models": self.models,
            "bytes": self.bytes,
            "left_out": list(self.left_out),
        }


def backup(
    gallery: HasGallery | str | os.PathLike[str], to: str | os.PathLike[str], *, progress: Progress | None = None
) -> Backup:
    """Write a backup of a gallery: one archive with its database, its uploaded photos and its models.

    The gallery may be searched and written to meanwhile; the backup is that of one version. The archive appears at its
    place when all of it was written, read back and compared with its checksums.

    Args:
        gallery: Folder of the gallery, or its retriever.
        to: File to create; or an existing folder, or an address that ends in `/`, for a file named by the gallery and
            the time. An address is one of `s3://`, `gs://` or `az://`.
        progress: Called with the megabytes written and read back so far, and the expected number.

    Raises:
        UsageError: The file exists, its folder does not, or the gallery is on Milvus.
        GalleryDamagedError: The gallery is damaged.
        StorageFullError: The disk has too little room.
        LookalikeError: The archive cannot be written.
    """
    with gallery_of(gallery) as opened:
        if not isinstance(opened, LocalGallery):
            raise UsageError(
                "backups are for galleries in folders; one on Milvus is backed up by Milvus Backup, or copied into a "
                "folder first: lookalike gallery export --format gallery --to FOLDER"
            )
        place = place_for(os.fspath(to), opened.folder)
        with closing(Database(opened.folder, read_only=True)) as database:
            writing = _Writing(database, place, progress)
            return writing.into_store() if is_address(place) else writing.into_folder()


class _Writing:
    """The writing of one backup."""

    def __init__(self, database: Database, place: str, progress: Progress | None) -> None:
        self._database, self._place, self._progress = database, place, progress
        with database.reading() as connection:
            photos = sent_photos(connection, database.folder)
        self._database_bytes = database.bytes()
        self._expected = self._database_bytes + photo_bytes(photos)

    def into_folder(self) -> Backup:
        """Write the archive into a local file, and check it."""
        target = Path(self._place)
        check_room(target.parent, self._expected + self._database_bytes)
        try:
            with placed(target.parent, [target.name], alone=False) as folder:
                with (folder / target.name).open("xb") as file:
                    made, digests = self._write(file, folder)
                    file.flush()
                    drop_cached(file)
                with open_regular(folder / target.name) as written:
                    self._check(written, made, digests)
        except OSError as error:
            raise storage_error(target, error) from error
        return made

    def into_store(self) -> Backup:
        """Write the archive into a store, and check it."""
        with tempfile.TemporaryDirectory(prefix="lookalike-backup-") as folder:
            check_room(Path(folder), self._database_bytes)
            with streams.writing(self._place, expected=self._expected) as file:
                made, digests = self._write(file, Path(folder))
        try:
            with streams.reading(self._place) as (written, _):
                self._check(written, made, digests)
        except LookalikeError:
            object_store.remove(self._place)
            raise
        return made

    def _write(self, file: Writable, folder: Path) -> tuple[Backup, Mapping[str, str]]:
        """Write the archive; returns what was written, and the checksums of its members."""
        archive = ArchiveWriter(file, gallery=self._database.folder.name, told=self._tell)
        parts = folder / "snapshot"
        parts.mkdir()
        snapshot = take_snapshot(self._database, archive, parts)
        with snapshot.file as copy:
            left_out = [f"the photo is missing: {photo}" for photo in snapshot.missing]
            models = 0
            for name, path in model_files(snapshot, left_out.append):
                with open_regular(path) as model:
                    archive.add(name, model, os.fstat(model.fileno()).st_size)
                models += 1
            if events := events_copy(self._database, parts, left_out.append):
                with open_regular(events) as file_of_events:
                    archive.add(EVENTS, file_of_events, events.stat().st_size)
            archive.add(DATABASE, copy, snapshot.size)
        archive.finish()
        made = Backup(self._place, snapshot.items, snapshot.photos, models, archive.bytes, tuple(left_out))
        return made, archive.digests

    def _check(self, written: Readable, made: Backup, digests: Mapping[str, str]) -> None:
        """Compare the written archive with what was to be written.

        Raises:
            StorageFailedError: They differ.
        """
        try:
            found = read_archive(written, place=self._place, told=lambda done: self._tell(made.bytes + done))
        except BackupError as error:
            raise StorageFailedError(f"the backup was written, and reads back damaged: {error}") from error
        if (found.digests, found.bytes) != (digests, made.bytes):
            raise StorageFailedError(f"the backup was written to {self._place}, and other bytes are read back")

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done // MEGABYTE, max(done, 2 * self._expected) // MEGABYTE)


def place_for(to: str, gallery: Path) -> str:
    """Path or address of a new archive.

    Args:
        to: File, existing folder or address; see `backup`.
        gallery: Folder of the gallery, which names the file.

    Raises:
        UsageError: The file exists, or its folder does not.
    """
    name = f"{gallery.name.removesuffix('.gallery')}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}{ENDING}"
    if is_address(to):
        place = f"{to}{name}" if to.endswith("/") else to
        if object_store.exists(place):
            raise UsageError(f"{shown(place)} exists already; choose another name, or delete it")
        return place
    path = Path(to)
    if path.is_dir():
        path /= name
    elif to.endswith(os.sep) or not path.parent.is_dir():
        raise UsageError(f"{path if to.endswith(os.sep) else path.parent}: no such folder; create it first")
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already; choose another name, or delete it")
    return str(path)


def check_room(folder: Path, wanted: int) -> None:
    """Check that a disk has room for so many bytes.

    Raises:
        StorageFullError: It has not.
    """
    free = shutil.disk_usage(folder).free
    if free < wanted + MARGIN:
        raise StorageFullError(
            f"{folder}: {(wanted + MARGIN) / MEGABYTE:,.0f} MB are needed, and {free / MEGABYTE:,.0f} MB are free"
        )


def drop_cached(file: BinaryIO) -> None:
    """Flush a file to disk, and let the system forget it, so that reading it reads the disk."""
    os.fsync(file.fileno())
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
