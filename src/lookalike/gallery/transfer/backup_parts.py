"""What a backup of a gallery consists of: its uploaded photos, its models, and a copy of its database.

The database is copied by SQLite's backup API within a read transaction, which shows one version of the data whatever is
written meanwhile. Uploaded photos never change once an item refers to them, but they are deleted after their item was
removed or got another photo. So they are archived first, without blocking writers; then, within the transaction,
those that are new since; and if one of these is gone, again from a newer version.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from lookalike.embedding.compatibility import model_ids_of
from lookalike.embedding.model_choice import models_of
from lookalike.embedding.model_loading import CHECKPOINTS, find_model
from lookalike.embedding.network import Identity
from lookalike.errors import GalleryDamagedError, LookalikeError, ModelError, PhotoError, storage_error
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.metadata_table import read_model, read_spaces
from lookalike.gallery.local.model_paths import as_used
from lookalike.gallery.local.pooled_connection import connect
from lookalike.gallery.local.row_checksums import WAY_OUT
from lookalike.gallery.roots import Roots
from lookalike.gallery.transfer.backup_archive import DATABASE, EVENTS, NAME, ArchiveWriter
from lookalike.models.onnx_file import read_metadata
from lookalike.models.text_encoder_file import SUFFIX as TEXT_SUFFIX
from lookalike.models.text_encoder_file import text_encoder_of
from lookalike.spaces import Space
from lookalike.storage.files import open_regular
from lookalike.types import Item

VIEWS: Final = 20
"""Largest number of versions of a gallery that are looked at until the photos of one are complete."""

PAGES: Final = 1024
"""Pages of the database that are copied in one step, between which a backup can be interrupted."""

LONGEST_NAME: Final = 80
"""Characters of a model's file name that are kept in the archive, from its end."""

Photos = Mapping[str, tuple[tuple[str, ...], str]]
"""Roots below which each uploaded photo may lie, and its path, by the name of its member."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a gallery's database, whose photos are in the archive.

    Attributes:
        file: The copy, open for reading.
        size: Its length in bytes.
        items: Number of items.
        spaces: Spaces of the vectors.
        models: Models that filled the gallery, each `default` or a path; empty if unknown.
        photos: Number of uploaded photos.
        missing: Uploaded photos whose files are missing in the gallery.
    """

    file: BinaryIO
    size: int
    items: int
    spaces: Sequence[Space]
    models: Sequence[str]
    photos: int
    missing: Sequence[str]


def sent_photos(connection: sqlite3.Connection, folder: Path) -> Photos:
    """Uploaded photos that the items of a version refer to.

    Args:
        connection: Connection in a transaction.
        folder: Folder of the gallery, where photos are found after it was moved, too.
    """
    found = {}
    for photo, root in connection.execute("SELECT photo, root FROM items"):
        owner = Path(root).name
        name = f"photos/{owner}/{photo}"
        if NAME.fullmatch(name):
            found[name] = ((root, str(folder / "photos" / owner)), photo)
    return found


def photo_bytes(photos: Photos) -> int:
    """Bytes of the files of photos that are there."""
    total = 0
    for roots, photo in photos.values():
        for root in roots:
            with suppress(OSError):
                total += os.stat(f"{root}/{photo}").st_size  # noqa: PTH116 - Path takes five times as long
                break
    return total


def archive_photos(archive: ArchiveWriter, photos: Photos) -> set[str]:
    """Add those photos to an archive that it does not have yet. Returns the names of those that are missing."""
    missing = set()
    for name in photos.keys() - archive.digests.keys():
        roots, photo = photos[name]
        for root in roots:
            with suppress(PhotoError), Roots([root]).open(Item(id=name, photo=photo, root=root)) as file:
                archive.add(name, file, os.fstat(file.fileno()).st_size)
                break
        else:
            missing.add(name)
    return missing


def take_snapshot(database: Database, archive: ArchiveWriter, folder: Path) -> Snapshot:
    """Archive the photos of a version of the database, and copy that version.

    Args:
        database: Database of the gallery, which may be written to meanwhile.
        archive: Archive that the photos are added to; it may have got photos of other versions, too.
        folder: Empty folder for the copy.

    Raises:
        LookalikeError: Photos are replaced faster than they can be read, or the copy cannot be written.
        GalleryDamagedError: The database is damaged.
    """
    missing: set[str] | None = None
    for _ in range(VIEWS):
        if missing is None:  # most photos; not in a transaction, which would let the write-ahead log grow
            with database.reading() as connection:
                photos = sent_photos(connection, database.folder)
            missing = archive_photos(archive, photos)
            continue
        with database.reading() as connection:
            photos = sent_photos(connection, database.folder)
            gone = archive_photos(archive, photos)
            if gone <= missing:  # they were missing in an earlier version too, so they were not replaced just now
                copy_database(connection, folder / DATABASE)
                stored, spaces = read_model(connection), read_spaces(connection)
                break
        missing = gone
    else:
        raise LookalikeError(
            f"the uploaded photos of {database.folder} are replaced faster than they can be read; "
            "try again when fewer are written"
        )
    models = [] if stored is None else models_of(as_used(stored, database.folder))
    file, items = opened_copy(folder, of=database.folder)
    size = os.fstat(file.fileno()).st_size
    lost = sorted(photos[name][1] for name in gone)
    return Snapshot(file, size, items, spaces, models, len(photos) - len(lost), lost)


def copy_database(connection: sqlite3.Connection, to: Path) -> None:
    """Copy the version of a database that a connection sees in its read transaction.

    Raises:
        LookalikeError: The disk is full or fails.
    """
    try:
        with closing(sqlite3.connect(to, isolation_level=None)) as copy:
            connection.backup(copy, pages=PAGES)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN):
            raise LookalikeError(f"{to.parent} cannot be written to: {error}") from error
        raise


def events_copy(database: Database, folder: Path, told: Callable[[str], None]) -> Path | None:
    """Copy the file of events beside a database, which is written to without the gallery's lock.

    Args:
        database: Database of the gallery.
        folder: Folder for the copy.
        told: Called with a message if the file is damaged.

    Returns:
        Path of the copy; None if there is no such file, or it is left out.
    """
    source = database.folder / EVENTS
    if not source.is_file():
        return None
    try:
        with closing(connect(source, "ro")) as connection:
            connection.execute("BEGIN")
            copy_database(connection, folder / EVENTS)
            (sound,) = connection.execute("PRAGMA quick_check").fetchone()
    except sqlite3.DatabaseError as error:
        sound = str(error)
    if sound != "ok":
        told(f"the file of events is damaged and not in the backup: {' '.join(str(sound).split())}")
        return None
    return folder / EVENTS


def opened_copy(folder: Path, *, of: Path) -> tuple[BinaryIO, int]:
    """Verify the copy of a database, and open it; its name is deleted, so that nothing is left after a kill.

    Returns:
        The open file, and the number of items.

    Raises:
        GalleryDamagedError: The database is damaged.
    """
    with LocalGallery(folder, read_only=True) as copy:
        health = copy.verify()
    if health.problems:
        raise GalleryDamagedError(f"{of} is damaged and was not backed up: {health.problems[0]}; {WAY_OUT}")
    path = folder / DATABASE
    try:
        file = open_regular(path)
        path.unlink()
    except OSError as error:
        raise storage_error(path, error) from error
    return file, health.items


def model_files(snapshot: Snapshot, told: Callable[[str], None]) -> Iterator[tuple[str, Path]]:
    """Names of members and paths of the models that filled a gallery, with their text encoders.

    Args:
        snapshot: The gallery.
        told: Called with a message for each model that is left out, since it is missing or another one now.
    """
    for number, model in enumerate(snapshot.models):
        try:
            path = find_model(model)
            check_identity(path, snapshot.spaces)
        except ModelError as error:
            told(f"the model is not in the backup: {error}")
            continue
        name = re.sub(r"[^A-Za-z0-9._+-]", "-", path.name)[-LONGEST_NAME + len(TEXT_SUFFIX) :].lstrip(".") or "model"
        yield f"models/{number}/{name}", path
        encoder = text_encoder_of(path)
        if encoder.is_file():
            yield f"models/{number}/{text_encoder_of(Path(name))}", encoder


def check_identity(model: Path, spaces: Sequence[Space]) -> None:
    """Check that an ONNX file is a model that made some of a gallery's vectors.

    Raises:
        ModelError: It is another one, or none.
    """
    if model.name.endswith(CHECKPOINTS) or not spaces:
        return
    found, made_by = Identity.from_metadata(read_metadata(model), file=str(model)).model_id, model_ids_of(spaces)
    if found not in made_by:
        raise ModelError(f"{model} is {found} now, and the gallery was filled by {' and '.join(made_by)}")
