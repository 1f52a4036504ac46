"""A new model for a gallery without downtime; of one on Milvus, `on_milvus.py` does the same.

    GALLERY/remodel/          vectors of the other model, a gallery of the same items
    GALLERY/remodel-before/   vectors of the earlier model after a switch, likewise

While these are made, the gallery is searched and written to as before. The switch brings them up to date, keeps the
present vectors aside and replaces them in one transaction.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from lookalike.embedding.compatibility import model_ids_of
from lookalike.embedding.model_choice import ModelFile
from lookalike.errors import UsageError, storage_error
from lookalike.gallery.creation import new_gallery
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.vector_replacement import VectorReplacement
from lookalike.gallery.milvus import is_on_milvus
from lookalike.gallery.transfer.backup import check_room
from lookalike.spaces import width
from lookalike.storage.write_lock import WriteLock
from lookalike.tuning.remodelling import on_milvus
from lookalike.tuning.remodelling.staging import Progress, Staging, embedder_of, last_stage, mirror, stage
from lookalike.tuning.remodelling.state import (
    KEPT,
    STAGED,
    AsideVectors,
    Models,
    Remodelling,
    check_same_model,
    no_vectors,
    state_of,
)

GONE: Final = ".gone"
"""Ending of the hidden folders of what is being deleted."""

OVERHEAD: Final = 1.3
"""Bytes of a staged gallery per byte of its vectors: items, and pages that are not full."""


def remodel(
    gallery: str | os.PathLike[str],
    model: Models,
    *,
    runtime: str = "auto",
    device: str = "auto",
    progress: Progress | None = None,
) -> Remodelling:
    """Embed all photos of a gallery with another model, aside; the gallery itself is not changed.

    An interrupted or killed call continues where it stopped, and a repeated one follows items that were added, changed
    or removed.

    Args:
        gallery: Folder of the gallery, or its address on Milvus.
        model: See `lookalike.open`.
        runtime: See `lookalike.open`.
        device: See `lookalike.open`.
        progress: Called with the number of items that have vectors of the model, and of all.

    Raises:
        UsageError: The gallery has these vectors, or is empty, or vectors of a third model are staged or
            kept.
        GalleryLockedError: Another process does the same.
        StorageFullError: The disk has too little room.
    """
    if is_on_milvus(gallery):
        return on_milvus.remodel(str(gallery), model, runtime=runtime, device=device, progress=progress)
    with opened_local(gallery) as shop:
        choice = ModelFile(model, runtime, device)
        embedder = choice.load(None, gallery=str(shop.folder))
        if not shop.spaces:
            raise UsageError(f"{gallery} is empty; index into it with --model {model}")
        if tuple(embedder.spaces) == shop.spaces:
            raise UsageError(f"{gallery} has the vectors of {embedder.fingerprint} already")
        check_kept(shop, shop.folder / KEPT)  # now, since `--drop` would delete the staged vectors with those
        needed = OVERHEAD * 4 * width(embedder.spaces) * len(shop)
        folder = shop.folder / STAGED
        if not folder.exists():
            check_room(shop.folder, int(needed))
        with LocalGallery(folder, create=True) as staged:
            if staged.spaces and staged.spaces != tuple(embedder.spaces):
                raise UsageError(
                    f"vectors of {' and '.join(model_ids_of(staged.spaces))} are staged in {folder}; "
                    "delete them first: lookalike gallery remodel --drop"
                )
            staged.remember_model(choice.address(None))
            done = stage(shop, staged, embedder, progress=progress)
        return present_state(shop, done)


def remodelling_state(gallery: str | os.PathLike[str]) -> Remodelling:
    """State of a gallery that gets another model, or has got one."""
    if is_on_milvus(gallery):
        return on_milvus.remodelling_state(str(gallery))
    with opened_local(gallery) as shop:
        return present_state(shop, Staging(0, 0, {}))


def switch(
    gallery: str | os.PathLike[str],
    *,
    back: bool = False,
    runtime: str = "auto",
    device: str = "auto",
    progress: Progress | None = None,
) -> Remodelling:
    """Replace the vectors of a gallery by the staged ones, which are brought up to date, and keep the present ones.

    Args:
        gallery: Folder of the gallery, or its address on Milvus.
        back: Whether to take the vectors that were kept at the last switch instead, and to stage the present ones.
        runtime: See `lookalike.open`.
        device: See `lookalike.open`.
        progress: See `remodel`.

    Raises:
        UsageError: There are no such vectors, photos of some items cannot be read, or vectors of a third model are in
            the way.
        MismatchError: The file of the model was replaced by another one.
        GalleryLockedError: Another process is writing.
    """
    if is_on_milvus(gallery):
        return on_milvus.switch(str(gallery), back=back, runtime=runtime, device=device, progress=progress)
    source, keep = (KEPT, STAGED) if back else (STAGED, KEPT)
    with opened_local(gallery) as shop:
        folder, kept = shop.folder / source, shop.folder / keep
        if not (folder / "gallery.db").is_file():
            raise no_vectors(str(gallery), back=back)
        with LocalGallery(folder) as staged:
            if staged.spaces == shop.spaces:  # killed after the switch, before it was told
                done = Staging(0, 0, {})
            else:
                embedder = embedder_of(staged, str(staged.folder), runtime=runtime, device=device)
                done = stage(shop, staged, embedder, progress=progress)
                with closing(VectorReplacement(shop.folder)) as replacement, replacement.locked():
                    done = last_stage(shop, staged, embedder, before=done)
                    keep_present(shop, kept)
                    replacement.replace(staged)
        remove_folder(folder)
        return present_state(shop, done)


def drop(gallery: str | os.PathLike[str]) -> Remodelling:
    """Delete the staged vectors, and those that were kept at the last switch.

    Raises:
        GalleryLockedError: They are being made.
    """
    if is_on_milvus(gallery):
        return on_milvus.drop(str(gallery))
    with opened_local(gallery) as shop:
        for name in (STAGED, KEPT):
            if (shop.folder / name).is_dir():
                remove_folder(shop.folder / name)
        return present_state(shop, Staging(0, 0, {}))


def check_kept(shop: LocalGallery, kept: Path) -> None:
    """Check that no vectors of an earlier model are in the way of the present ones.

    Raises:
        UsageError: There are such vectors.
    """
    if not kept.is_dir():
        return
    with LocalGallery(kept) as earlier:
        check_same_model(earlier.spaces, shop.spaces, place=str(kept))


def keep_present(shop: LocalGallery, kept: Path) -> None:
    """Copy the present vectors aside.

    Raises:
        UsageError: Those of another model are there.
    """
    check_kept(shop, kept)
    if kept.is_dir():
        remove_folder(kept)  # of a switch that was killed
    with new_gallery(str(kept)) as (copy, _):
        mirror(shop, copy)


def present_state(shop: LocalGallery, done: Staging) -> Remodelling:
    """State of an open gallery after a step."""
    return state_of(shop, done, staged=described(shop.folder / STAGED), kept=described(shop.folder / KEPT))


def described(folder: Path) -> AsideVectors:
    """Vectors in a gallery inside the gallery."""
    if not (folder / "gallery.db").is_file():
        return AsideVectors()
    with LocalGallery(folder, read_only=True) as staged:
        return AsideVectors(len(staged), tuple(model_ids_of(staged.spaces)), staged.stored_bytes())


def remove_folder(folder: Path) -> None:
    """Delete a gallery inside the gallery; killed, it leaves a hidden folder that the next command deletes.

    Raises:
        GalleryLockedError: It is being written to.
        LookalikeError: It cannot be deleted.
    """
    gone = folder.with_name(f".{folder.name}{GONE}")
    try:
        with WriteLock(folder / "write.lock").held(0):
            folder.rename(gone)
        shutil.rmtree(gone)
    except OSError as error:
        raise storage_error(folder, error) from error


@contextmanager
def opened_local(address: str | os.PathLike[str]) -> Iterator[LocalGallery]:
    """Open a gallery in a folder."""
    with LocalGallery(Path(address)) as shop:
        for gone in shop.folder.glob(f".{STAGED}*{GONE}"):  # left by a killed process
            shutil.rmtree(gone, ignore_errors=True)
        yield shop


def staged_address(gallery: str) -> str:
    """Address of the staged vectors of a gallery, which is one of its own.

    Raises:
        UsageError: There are none.
    """
    if is_on_milvus(gallery):
        return on_milvus.staged_address(gallery)
    staged = Path(gallery) / STAGED
    if not (staged / "gallery.db").is_file():
        raise UsageError(f"{gallery} has no staged vectors; make them first: lookalike gallery remodel --model NEW")
    return str(staged)
