"""Writing items: embedding and storing their photos, and changing the gallery."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from lookalike.embedding.batch_embedding import BATCH, embed_in_batches
from lookalike.embedding.photo_readers import with_garments
from lookalike.embedding.protocol import Prepared, with_kind
from lookalike.errors import GalleryUnreachableError, LookalikeError, StorageFailedError, UsageError
from lookalike.finding.catalogue_finder import CatalogueFinder
from lookalike.gallery.photo_store import PhotoStore
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.stored_item import SOURCE, StoredItem
from lookalike.images import Budget, Limits, one_photo, open_image
from lookalike.retrieval.retriever import Retriever
from lookalike.server.item_write import Absent, ItemWrite
from lookalike.types import Box, Item

LOG: Final = logging.getLogger("lookalike.server")

Status: TypeAlias = Literal["added", "updated", "unchanged", "deleted", "queued"]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write.

    Attributes:
        stored: The item as committed; None if there is none any more.
        status: What was done.
    """

    stored: StoredItem | None
    status: Status


Outcome: TypeAlias = Written | LookalikeError
"""What became of one write of several: an error if it failed, and nothing of it was written."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A write that was checked against the stored item.

    Attributes:
        write: What was asked.
        before: The stored item; None if there was none.
        after: The stored item after the write; None if it is deleted.
        prepared: Each part of a new photo, prepared for embedding; empty if the photo stays.
    """

    write: ItemWrite
    before: StoredItem | None
    after: StoredItem | None
    prepared: Sequence[Prepared] = field(default=())

    @property
    def status(self) -> Status:
        """What is done."""
        if self.after is None:
            return "unchanged" if self.before is None else "deleted"
        if self.before is None:
            return "added"
        return "unchanged" if not self.prepared and self.after.is_same(self.before) else "updated"


Commit: TypeAlias = Callable[[Sequence[Plan]], list[StoredItem | None]]
"""Writes plans in one transaction; returns the items as committed."""


class ItemWriter:
    """Writes items; for use by one thread at a time."""

    def __init__(self, retriever: Retriever, photos: PhotoStore, *, limits: Limits, decoding: Budget) -> None:
        """Make a writer.

        Args:
            retriever: Retriever with the gallery to write to.
            photos: Store of uploaded photos.
            limits: Limits of photos.
            decoding: Memory budget for decoding.
        """
        self._retriever, self._photos, self._limits = retriever, photos, limits
        self.decoding = decoding

    @property
    def photo_folders(self) -> list[Path]:
        """Folders of uploaded photos."""
        return self._photos.folders

    @property
    def gallery(self) -> Gallery:
        """Gallery to write to."""
        return self._retriever.gallery

    def write(self, writes: Sequence[ItemWrite]) -> list[Outcome]:
        """Write items of distinct ids; one that fails does not stop the others.

        Deletions, changes and new photos are one commit each, in this order. Whatever changes nothing is not written.

        Raises:
            GalleryLockedError: Another process is writing; nothing was changed.
            LookalikeError: The gallery cannot be read; nothing was changed.
        """
        outcomes: dict[str, Outcome] = {}
        with self.gallery.writing():
            before = self.gallery.stored_items([write.id for write in writes])
            known = self.gallery.attributes() if any(write.needs_names for write in writes) else {}
            plans: list[Plan] = []
            for write in writes:
                try:
                    plans.append(self._plan(write, before.get(write.id), known=known))
                except LookalikeError as error:
                    outcomes[write.id] = error
            due = [plan for plan in plans if plan.status != "unchanged"]
            embedded = [plan for plan in due if plan.prepared]
            groups: list[tuple[Commit, list[Plan]]] = [
                (self._delete, [plan for plan in due if plan.after is None]),
                (self._update, [plan for plan in due if plan.after is not None and not plan.prepared]),
                (self._add, embedded),
            ]
            outcomes |= {
                plan.write.id: Written(plan.before if plan.after else None, "unchanged")
                for plan in plans
                if plan.status == "unchanged"
            }
            for commit, group in groups:
                outcomes |= _committed(commit, group)
        return [outcomes[write.id] for write in writes]

    def tidy(self) -> None:
        """Remove photos left behind by a kill, and relocate those whose folder was moved with the gallery."""
        try:
            self._photos.tidy()
        except LookalikeError as error:  # `tidy` is tried again at the next start
            LOG.warning("photos", extra={"fields": {"problem": f"left as they are: {error}"}})

    def _plan(self, write: ItemWrite, before: StoredItem | None, *, known: Container[str]) -> Plan:
        """Check a write against the stored item, and prepare its photo if that is to be embedded."""
        if write.delete:
            return Plan(write, before, None)
        if write.photo is None:
            write.check_without_photo(before)
            return Plan(write, before, write.applied(before, known=known))
        box, garments = write.parts_wanted(before)
        if before is not None and write.has_photo_of(before) and self._has_parts(write, before):
            return Plan(write, before, write.applied(before, known=known))
        item, prepared = self._prepared(write, box, garments=garments)
        after = write.applied(None if write.replace else before, known=known)
        described = replace(after.described, box=item.box, garments=item.garments, finder=item.finder)
        return Plan(write, before, StoredItem(described, after.overrides, SOURCE, write.file_stamp), prepared)

    def _has_parts(self, write: ItemWrite, before: StoredItem) -> bool:
        """Whether an item is embedded in the parts that are wanted, and its photo is still there if it was uploaded."""
        if self._photos.owns(before.described) and not Path(before.described.location).is_file():
            return False  # sent again, it is stored again
        (box, garments), finder = write.parts_wanted(before), before.described.finder
        if garments and finder is not None:
            return isinstance(write.garments, Absent) or finder == CatalogueFinder(self._retriever.finder).model_id
        return box == before.described.box and garments == (finder is not None)

    def _prepared(self, write: ItemWrite, box: Box | None, *, garments: bool) -> tuple[Item, list[Prepared]]:
        """Decode a photo, find its garments if they are wanted, and prepare each of its parts for embedding."""
        data, limits = write.photo, self._limits
        assert data is not None
        self._retriever.check_model()
        embedder = self._retriever.embedder
        item = Item(write.id, write.name, box=box)
        prepared = []
        with self.decoding.in_use(refuse=True), one_photo():
            if garments:
                item = with_garments(item, data, CatalogueFinder(self._retriever.finder), limits=limits)
            for part, kind in zip(item.parts, item.kinds, strict=True):
                picture = open_image(data, at_least=embedder.wanted_size, box=part, limits=limits, name=write.name)
                prepared.append(with_kind(embedder.prepare(picture), kind))
        return item, prepared

    def _add(self, plans: Sequence[Plan]) -> list[StoredItem | None]:
        """Embed and add items in one transaction."""
        embedder = self._retriever.embedder
        rows = embed_in_batches(embedder, [part for plan in plans for part in plan.prepared], batch=BATCH).vectors
        spaces = self.gallery.spaces or embedder.spaces
        items: list[Item] = []
        try:
            items += map(self._kept, plans)
            stored = [replace(_after(plan), described=item) for plan, item in zip(plans, items, strict=True)]
            self.gallery.add(
                items,
                {space.name: rows[space.name] for space in spaces},
                spaces=spaces,
                source=SOURCE,
                file_stamps=[each.file_stamp for each in stored],
                overrides=[each.overrides for each in stored],
            )
        except (StorageFailedError, GalleryUnreachableError):
            raise  # the commit may have succeeded, so photos stay; `tidy` removes unused ones
        except LookalikeError:
            self._drop(items)
            raise
        self._drop(plan.before.described for plan in plans if plan.before is not None)
        return [*stored]

    def _update(self, plans: Sequence[Plan]) -> list[StoredItem | None]:
        """Change items whose photos stay, in one transaction."""
        stored = [_after(plan) for plan in plans]
        self.gallery.update([each.described for each in stored], overrides=[each.overrides for each in stored])
        return [*stored]

    def _delete(self, plans: Sequence[Plan]) -> list[StoredItem | None]:
        """Remove items and their uploaded photos, in one transaction."""
        self.gallery.remove([plan.write.id for plan in plans])
        self._drop(plan.before.described for plan in plans if plan.before is not None)
        return [None for _ in plans]

    def _kept(self, plan: Plan) -> Item:
        """Store the photo of an item; returns the item with its place."""
        assert plan.write.photo is not None
        kept = self._photos.keep(plan.write.id, plan.write.photo)
        return replace(_after(plan).described, photo=kept.photo, root=kept.root)

    def _drop(self, items: Iterable[Item]) -> None:
        """Remove photos of replaced items; `tidy` removes later what cannot be removed now."""
        for item in items:
            try:
                self._photos.drop(item)
            except LookalikeError as error:
                LOG.warning("photos", extra={"fields": {"problem": str(error)}})


def _after(plan: Plan) -> StoredItem:
    assert plan.after is not None
    return plan.after


def _committed(commit: Commit, group: Sequence[Plan]) -> dict[str, Outcome]:
    """Commit plans in one transaction; if one of them cannot be written, each in a transaction of its own."""
    if not group:
        return {}
    try:
        committed = commit(group)
    except LookalikeError as error:
        if len(group) > 1 and isinstance(error, UsageError):
            return {item_id: outcome for plan in group for item_id, outcome in _committed(commit, [plan]).items()}
        return {plan.write.id: error for plan in group}  # a full disk or another writer: not caused by an item
    return {plan.write.id: Written(stored, plan.status) for plan, stored in zip(group, committed, strict=True)}
