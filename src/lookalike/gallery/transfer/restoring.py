"""Restoring of galleries from backups: complete and verified before anything appears at the new place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from lookalike.embedding.model_choice import models_of, remembered_as
from lookalike.errors import GalleryDamagedError, GalleryLockedError, UsageError, storage_error
from lookalike.gallery.creation import check_free
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.photo_store import PhotoStore
from lookalike.gallery.transfer.backup import MEGABYTE, Progress, check_room
from lookalike.gallery.transfer.backup_archive import Contents, Readable, read_archive
from lookalike.models.default_model import SHIPPED, SHIPPED_MODEL
from lookalike.models.text_encoder_file import SUFFIX as TEXT_SUFFIX
from lookalike.remote import streams
from lookalike.remote.addresses import is_address, shown
from lookalike.storage.durable import sync_folder
from lookalike.storage.files import open_regular
from lookalike.storage.sha256sums import sha256
from lookalike.types import JSON

LOCK: Final = "restore.lock"


@dataclass(frozen=True, slots=True)
class Restored:
    """Result of `restore`.

    Attributes:
        gallery: Folder of the gallery, as it was given.
        items: Number of items.
        photos: Number of uploaded photos.
        model: Model of the gallery: `default` or a path; None if unknown.
        made: Time of the backup, such as `2026-11-29T03:00:00Z`.
        roots: Folders and URLs that its photos were indexed from, and of which a server shows them.
    """

    gallery: str
    items: int
    photos: int
    model: str | None
    made: str
    roots: Sequence[str] = ()

    def to_json(self) -> dict[str, JSON]:
        """JSON of `lookalike gallery restore --json`."""
        return {
            "gallery": self.gallery,
            "items": self.items,
            "photos": self.photos,
            "model": self.model,
            "made": self.made,
            "roots": list(self.roots),
        }


def restore(
    source: str | os.PathLike[str], gallery: str | os.PathLike[str], *, progress: Progress | None = None
) -> Restored:
    """Restore a gallery from a backup into a new folder.

    Uploaded photos come to lie inside the gallery, and so does its model, unless it is the installed default model.

    Args:
        source: Archive that `backup` wrote: a file, or an address of `s3://`, `gs://` or `az://`.
        gallery: Folder of the new gallery.
        progress: Called with the megabytes read so far and in all.

    Raises:
        UsageError: There is a gallery or another file at the folder, or no such archive.
        BackupError: The archive is damaged, incomplete or of another program.
        GalleryDamagedError: The restored gallery does not pass its verification.
        StorageFullError: The disk has too little room.
        LookalikeError: The archive cannot be read, or the gallery cannot be written.
    """
    place, folder = os.fspath(source), Path(os.path.abspath(gallery))  # noqa: PTH100 - links stay
    if "://" in os.fspath(gallery):
        raise UsageError(
            f"{gallery} is no folder: backups are restored into a folder; copy the restored gallery to Milvus with "
            "lookalike gallery export --format gallery"
        )
    check_free(folder)
    if not folder.parent.is_dir():
        raise UsageError(f"{folder.parent}: no such folder; create it first")
    with opened_archive(place) as (file, size):
        check_room(folder.parent, size)
        try:
            with becoming(folder) as unfinished:
                told = progress or (lambda _done, _total: None)
                contents = extract(
                    file, shown(place), unfinished, lambda done: told(done // MEGABYTE, size // MEGABYTE)
                )
                return replace(settled(unfinished, folder, contents, place=shown(place)), gallery=os.fspath(gallery))
        except OSError as error:
            raise storage_error(folder, error) from error


@contextmanager
def opened_archive(place: str) -> Iterator[tuple[Readable, int]]:
    """Open an archive, with its length in bytes.

    Raises:
        UsageError: There is no such file.
        LookalikeError: It cannot be read.
    """
    if is_address(place):
        with streams.reading(place) as opened:
            yield opened
        return
    try:
        file = open_regular(place)
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror or error}") from None
    with file:
        yield file, os.fstat(file.fileno()).st_size


@contextmanager
def becoming(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder beside a new one, which it becomes when the context ends without an error.

    Raises:
        UsageError: There is something at the new folder.
        GalleryLockedError: Another process restores a gallery there.
        OSError: The folder cannot be written.
    """
    from filelock import FileLock, Timeout

    unfinished = folder.with_name(f".{folder.name}.restoring")
    try:
        if unfinished.exists():  # left by a killed process, unless one that is running holds its lock
            with FileLock(unfinished / LOCK, thread_local=False).acquire(timeout=0):
                shutil.rmtree(unfinished)
        unfinished.mkdir()
    except (Timeout, FileExistsError):
        raise GalleryLockedError(f"another process restores a gallery at {folder}; wait for it", holder={}) from None
    try:
        with FileLock(unfinished / LOCK, thread_local=False).acquire(timeout=0):
            yield unfinished
            check_free(folder)
            os.sync()  # one call for all files, of which there may be hundreds of thousands
            unfinished.rename(folder)
            sync_folder(folder.parent)
            (folder / LOCK).unlink()
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def extract(file: Readable, place: str, folder: Path, told: Callable[[int], None]) -> Contents:
    """Write the members of an archive below an empty folder, and check them.

    Raises:
        BackupError: As `read_archive`; the folder then has only a part of the members.
        OSError: The disk is full or fails.
    """

    @contextmanager
    def sink(name: str, _: int) -> Iterator[BinaryIO]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            yield target

    return read_archive(file, place=place, sink=sink, told=told)


def settled(unfinished: Path, folder: Path, contents: Contents, *, place: str) -> Restored:
    """Prepare an extracted gallery for its new place, and verify it.

    Args:
        unfinished: Folder of the extracted members.
        folder: Folder that it will be moved to.
        contents: What was extracted.
        place: Archive, for errors.

    Raises:
        GalleryDamagedError: The gallery does not pass its verification.
    """
    with LocalGallery(unfinished) as gallery:
        PhotoStore(gallery, becomes=folder).tidy()
        settle_models(gallery, contents)
        gallery.optimise()
        health = gallery.verify()
        if health.problems:
            raise GalleryDamagedError(f"{place} holds a damaged gallery, and was not restored: {health.problems[0]}")
        photos = sum(name.startswith("photos/") for name in contents.digests)
        model = gallery.model and gallery.model.replace(str(unfinished), str(folder))
        return Restored(str(folder), health.items, photos, model, contents.made, gallery.roots)


def settle_models(gallery: LocalGallery, contents: Contents) -> None:
    """Have a gallery use the models that were restored with it; the default model only where another is installed."""
    if gallery.model is None:
        return
    models = models_of(gallery.model)
    for number, model in enumerate(models):
        kept = gallery.folder / "models" / str(number)
        found = [name for name in contents.digests if name.startswith(f"models/{number}/")]
        mine = next((name for name in found if not name.endswith(TEXT_SUFFIX)), None)
        if mine is None:
            continue
        if model == SHIPPED and contents.digests[mine] == sha256(SHIPPED_MODEL):
            shutil.rmtree(kept)
        else:
            models[number] = str(gallery.folder / mine)
    with suppress(OSError):  # it has others
        (gallery.folder / "models").rmdir()
    gallery.remember_model(remembered_as(models))
