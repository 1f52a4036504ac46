"""A new model for a gallery in a folder, without downtime.

    GALLERY/remodel/          vectors of the other model, a gallery of the same items
    GALLERY/remodel-before/   vectors of the earlier model after a switch, likewise

While these are made, the gallery is searched and written to as before. The switch brings them up to date, keeps the
present vectors aside and replaces them in one transaction.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lookalike.embedding.compatibility import check_compatibility, model_ids_of
from lookalike.embedding.model_choice import ModelFile
from lookalike.embedding.projected import ProjectedEmbedder
from lookalike.embedding.protocol import Embedder
from lookalike.errors import UsageError, storage_error
from lookalike.gallery.creation import new_gallery
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.vector_replacement import VectorReplacement
from lookalike.gallery.transfer.backup import check_room
from lookalike.spaces import width
from lookalike.storage.write_lock import WriteLock
from lookalike.tuning.remodelling.staging import Progress, Staging, mirror, stage
from lookalike.types import JSON

STAGED: Final = "remodel"
KEPT: Final = "remodel-before"

GONE: Final = ".gone"
"""Ending of the hidden folders of what is being deleted."""

OVERHEAD: Final = 1.3
"""Bytes of a staged gallery per byte of its vectors: items, and pages that are not full."""

Models = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class Remodelling:
    """State of a gallery that gets another model.

    Attributes:
        items: Number of items.
        model_ids: Models of its vectors, such as `default@9f3c21ab`.
        staged: Number of items with vectors of the other model; None if there are none.
        staged_ids: The other models.
        staged_bytes: Bytes of these vectors on disk.
        kept_ids: Models of the vectors that were kept at the last switch; empty if there are none.
        kept_bytes: Bytes of these vectors on disk.
        embedded: Number of items that were embedded by this call.
        unreadable: Items whose photos cannot be read, with the reasons, by id, as far as this call tried.
    """

    items: int
    model_ids: tuple[str, ...]
    staged: int | None = None
    staged_ids: tuple[str, ...] = ()
    staged_bytes: int = 0
    kept_ids: tuple[str, ...] = ()
    kept_bytes: int = 0
    embedded: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, JSON]:
        """JSON of `lookalike gallery remodel --json`."""
        staged: JSON = None
        if self.staged is not None:
            staged = {"models": list(self.staged_ids), "items": self.staged, "bytes": self.staged_bytes}
        kept: JSON = {"models": list(self.kept_ids), "bytes": self.kept_bytes} if self.kept_ids else None
        return {
            "items": self.items,
            "models": list(self.model_ids),
            "staged": staged,
            "kept": kept,
            "embedded": self.embedded,
            "unreadable": dict(self.unreadable),
        }


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
        gallery: Folder of the gallery.
        model: See `lookalike.open`.
        runtime: See `lookalike.open`.
        device: See `lookalike.open`.
        progress: Called with the number of items that have vectors of the model, and of all.

    Raises:
        UsageError: The gallery has these vectors, is empty or on Milvus, or vectors of a third model are staged or
            kept.
        GalleryLockedError: Another process does the same.
        StorageFullError: The disk has too little room.
    """
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
        return state_of(shop, done)


def remodelling_state(gallery: str | os.PathLike[str]) -> Remodelling:
    """State of a gallery that gets another model, or has got one."""
    with opened_local(gallery) as shop:
        return state_of(shop, Staging(0, 0, {}))


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
        gallery: Folder of the gallery.
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
    source, keep = (KEPT, STAGED) if back else (STAGED, KEPT)
    with opened_local(gallery) as shop:
        folder, kept = shop.folder / source, shop.folder / keep
        if not (folder / "gallery.db").is_file():
            raise UsageError(
                f"{gallery} has kept no vectors of an earlier model"
                if back
                else f"{gallery} has no staged vectors; make them first: lookalike gallery remodel --model NEW"
            )
        with LocalGallery(folder) as staged:
            if staged.spaces == shop.spaces:  # killed after the switch, before it was told
                done = Staging(0, 0, {})
            else:
                embedder = embedder_of(staged, runtime=runtime, device=device)
                done = stage(shop, staged, embedder, progress=progress)
                with closing(VectorReplacement(shop.folder)) as replacement, replacement.locked():
                    done = last_stage(shop, staged, embedder, before=done)
                    keep_present(shop, kept)
                    replacement.replace(staged)
        remove_folder(folder)
        return state_of(shop, done)


def drop(gallery: str | os.PathLike[str]) -> Remodelling:
    """Delete the staged vectors, and those that were kept at the last switch.

    Raises:
        GalleryLockedError: They are being made.
    """
    with opened_local(gallery) as shop:
        for name in (STAGED, KEPT):
            if (shop.folder / name).is_dir():
                remove_folder(shop.folder / name)
        return state_of(shop, Staging(0, 0, {}))


def last_stage(shop: LocalGallery, staged: LocalGallery, embedder: Embedder, *, before: Staging) -> Staging:
    """Stage what was written since, while nobody else writes.

    Raises:
        UsageError: Photos of some items cannot be read.
    """
    done = stage(shop, staged, embedder)
    if done.unreadable:
        ids = list(done.unreadable)
        named = "; ".join(f"{item_id}: {done.unreadable[item_id]}" for item_id in ids[:3])
        more = f" and {len(ids) - 3:,} more" if ids[3:] else ""
        raise UsageError(
            f"{len(ids):,} items have no vectors of the new model ({named}{more}); "
            "bring their photos back, or remove the items: lookalike gallery remove"
        )
    return Staging(before.embedded + done.embedded, before.removed + done.removed, {})


def check_kept(shop: LocalGallery, kept: Path) -> None:
    """Check that no vectors of an earlier model are in the way of the present ones.

    Raises:
        UsageError: There are such vectors.
    """
    if not kept.is_dir():
        return
    with LocalGallery(kept) as earlier:
        spaces = earlier.spaces
    if spaces and spaces != shop.spaces:
        raise UsageError(
            f"vectors of {' and '.join(model_ids_of(spaces))} are kept in {kept}; "
            "delete them first: lookalike gallery remodel --drop"
        )


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


def embedder_of(staged: LocalGallery, *, runtime: str, device: str) -> Embedder:
    """Embedder that made staged vectors.

    Raises:
        ModelError: Its file is missing.
        MismatchError: Its file was replaced by another model.
    """
    address = str(staged.folder)
    loaded = ModelFile(None, runtime, device).load(staged.model, gallery=address)
    projections = staged.projections
    embedder: Embedder = ProjectedEmbedder(loaded, projections) if projections else loaded
    check_compatibility(address, staged.spaces, embedder, remembered=staged.model)
    return embedder


def state_of(shop: LocalGallery, done: Staging) -> Remodelling:
    """State of an open gallery after a step."""
    staged, kept = shop.folder / STAGED, shop.folder / KEPT
    count, staged_ids, staged_bytes = described(staged)
    _, kept_ids, kept_bytes = described(kept)
    return Remodelling(
        items=len(shop),
        model_ids=tuple(model_ids_of(shop.spaces)),
        staged=count,
        staged_ids=staged_ids,
        staged_bytes=staged_bytes,
        kept_ids=kept_ids,
        kept_bytes=kept_bytes,
        embedded=done.embedded,
        unreadable=tuple(done.unreadable.items()),
    )


def described(folder: Path) -> tuple[int | None, tuple[str, ...], int]:
    """Number of items, models and bytes of a gallery inside the gallery; None if there is none."""
    if not (folder / "gallery.db").is_file():
        return None, (), 0
    with LocalGallery(folder, read_only=True) as staged:
        return len(staged), tuple(model_ids_of(staged.spaces)), staged.stored_bytes()


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
    """Open a gallery in a folder.

    Raises:
        UsageError: It is on Milvus.
    """
    if os.fspath(address).startswith(("milvus:", "milvus+tls:")):
        raise UsageError(
            f"{address} is on Milvus: index the catalogue into a new collection with the new model, and serve that"
        )
    with LocalGallery(Path(address)) as shop:
        for gone in shop.folder.glob(f".{STAGED}*{GONE}"):  # left by a killed process
            shutil.rmtree(gone, ignore_errors=True)
        yield shop
