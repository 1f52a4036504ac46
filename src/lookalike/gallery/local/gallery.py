"""The gallery in a folder: SQLite holds all data; segments for search are made from it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.errors import GalleryLockedError, RowFileError, StorageFailedError
from lookalike.gallery.local import garments_table, maintenance, reads, record_reads, writes
from lookalike.gallery.local.allowed_rows import AllowedRows
from lookalike.gallery.local.current_snapshot import CurrentSnapshot
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.editing import LocalEditing
from lookalike.gallery.local.folding import search_folded
from lookalike.gallery.local.full_text.current_words import CurrentWords
from lookalike.gallery.local.full_text.files import TextFiles
from lookalike.gallery.local.metadata_table import read_spaces
from lookalike.gallery.local.ranking import load_index, nearest, nearest_by_metric
from lookalike.gallery.local.refresh import build_usual_index
from lookalike.gallery.local.segment_files import SegmentFiles
from lookalike.gallery.local.snapshot import SMALL as FEW
from lookalike.gallery.local.snapshot import Snapshot
from lookalike.gallery.local.writes import Overrides
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.records import AttributeNames
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.request_checks import check_group, check_least
from lookalike.spaces import Space, slices
from lookalike.types import (
    JSON,
    Content,
    Facet,
    FileStamp,
    Float32,
    FullText,
    Garment,
    Int64,
    Item,
    Neighbours,
    several,
)

if TYPE_CHECKING:
    from lookalike.gallery.health import Health
    from lookalike.gallery.product_rows import ProductRows

BATCH = 1024
"""Items of a batch that `rows` and `records` yield."""

SEGMENT_TRIES = 3
"""Largest number of segments that a search builds while each turns out to be damaged."""

WAIT_FOR_BUILDER_S = 600.0
"""Seconds that `optimise` and `compact` wait for another process that builds a segment."""


class LocalGallery(LocalEditing):
    """Gallery in a folder; `lookalike.gallery.protocol.Gallery` documents its methods.

    Thread-safe. Each call sees the latest commits of other processes.

    Args:
        folder: Folder of the gallery.
        create: Create the gallery if there is none.
        read_only: Write nothing at all, not even segment files.

    Raises:
        GalleryNotFoundError: There is no gallery, and `create` is not set.
        GalleryDamagedError: The database is damaged.
        MismatchError: The gallery has a format that this version does not read.
    """

    def __init__(self, folder: Path, *, create: bool = False, read_only: bool = False) -> None:
        super().__init__(Database(folder, create=create, read_only=read_only))
        self._segment_files = SegmentFiles(self.folder)
        self._text_files = TextFiles(self.folder)
        self._current = CurrentSnapshot(self._database, self._segment_files)
        self._words = CurrentWords(self._database, self._segment_files, self._text_files)

    def __enter__(self) -> LocalGallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the folder's path; unpickling opens the gallery again."""
        return partial(LocalGallery, read_only=self._database.read_only), (self.folder.absolute(),)

    def close(self) -> None:
        """Close files and connections; later calls open them again.

        Calls of other threads are interrupted and waited for; they return or raise GalleryClosedError.
        """
        with self._current.ending(), self._words.ending():
            self._database.close()

    def discard_if_unused(self) -> None:
        """Delete the gallery if this object created it and nothing was added."""
        self._database.discard_if_unused()

    def writing(self) -> AbstractContextManager[None]:
        """Hold the write lock during a context, such as a whole indexing run.

        Raises:
            GalleryLockedError: Another process is writing.
        """
        return self._database.locked()

    def add(
        self,
        items: Sequence[Item],
        vectors: Mapping[str, Float32],
        *,
        spaces: Sequence[Space],
        source: str | Sequence[str] = "",
        file_stamps: Sequence[FileStamp | None] | None = None,
        overrides: Overrides = None,
    ) -> None:
        """Add items, or replace those of the same id, in one transaction."""
        with self._database.writing() as connection:
            writes.add(
                connection, items, vectors, spaces=spaces, source=source, file_stamps=file_stamps, overrides=overrides
            )

    def update(
        self,
        items: Sequence[Item],
        *,
        source: str = "",
        file_stamps: Sequence[FileStamp | None] | None = None,
        overrides: Overrides = None,
    ) -> None:
        """Replace the metadata of items in one transaction; vectors stay."""
        with self._database.writing() as connection:
            writes.update(connection, items, source=source, file_stamps=file_stamps, overrides=overrides)

    def remove(self, ids: str | Sequence[str]) -> int:
        """Remove an item, or several; unknown ids are ignored. Returns the number removed."""
        with self._database.writing() as connection:
            return writes.remove(connection, several(ids))

    def get(self, item_id: str) -> Item:
        """Read one item."""
        with self._database.viewing() as reader:
            return reads.item_by_id(reader.connection, reader.known(AttributeNames.read), item_id)

    def vectors(self, item_id: str) -> dict[str, Float32]:
        """Raw vectors of one item by space, each (1, D) float32."""
        with self._database.viewing() as reader:
            spaces = reader.known(read_spaces)
            row = reads.vectors_by_id(reader.connection, item_id, spaces=spaces)
        return {name: row[:, place] for name, place in slices(spaces).items()}

    def unit_vectors(self, rows: Sequence[int], *, version: object = None) -> dict[str, Float32]:
        """Unit vectors by space, each (B, D) float32; zeros for a removed row."""
        with self._database.viewing() as reader:
            self._current.check_version(reader, version)
            state = self._current.snapshot
            if state is not None and state.version.id == version:  # far faster than from the database
                with contextlib.suppress(RowFileError):
                    if (units := state.units_of(np.array(rows, dtype=np.int64))) is not None:
                        return {name: units[:, place] for name, place in slices(state.spaces).items()}
            spaces = reader.known(read_spaces)
            found = reads.units_by_row(reader.connection, rows, spaces=spaces)
        return {name: found[:, place] for name, place in slices(spaces).items()}

    def items(self, rows: Sequence[int], *, version: object = None) -> dict[int, Item]:
        """Items by row number; removed rows are left out."""
        with self._database.viewing() as reader:  # one version: another process may add attribute names
            self._current.check_version(reader, version)
            return reads.items_by_row(reader.connection, reader.known(AttributeNames.read), rows)

    def garments(self, rows: Sequence[int], *, version: object = None) -> dict[int, Garment]:
        """Garments by row number; rows of whole photos or boxes, and removed rows, are left out."""
        with self._database.viewing() as reader:
            self._current.check_version(reader, version)
            return reads.garments_by_row(reader.connection, reader.known(AttributeNames.read), rows)

    def products(self, rows: Sequence[int], *, version: object = None) -> dict[int, str | None]:
        """Products by row number; None for an item without one; removed rows are left out."""
        from lookalike.gallery.local import products

        with self._database.viewing() as reader:
            self._current.check_version(reader, version)
            return products.products_by_row(reader.connection, rows)

    def product_rows(self, names: Sequence[str], *, where: str | None = None, version: object = None) -> ProductRows:
        """Rows of products that a filter passes."""
        from lookalike.gallery.local import products

        products.make_index(self._database)
        with self._database.viewing() as reader:
            self._current.check_version(reader, version)
            with_garments = garments_table.exists(reader.connection)
            clause = reads.compile_filter(where, reader.known(AttributeNames.read), with_garments=with_garments)
            return products.rows_of_products(reader.connection, names, clause)

    def list(
        self, *, where: str | None = None, offset: int = 0, limit: int | None = 50, group: str | None = None
    ) -> tuple[int, Sequence[Item]]:
        """Number of items that a filter passes, and a page of them in the order of adding; of products with `group`."""
        check_least(0, offset=offset, limit=limit)
        check_group(group)
        with self._database.scanning() as reader:
            names, clause = reads.filter_of(reader.connection, where)
            return reads.page(reader.connection, names, clause, offset=offset, limit=limit, group=group)

    def attributes(self) -> Mapping[str, Sequence[str]]:
        """Kinds of values by attribute."""
        with self._database.scanning() as reader:
            kinds = reads.kinds_of_attributes(reader.connection)
        return {name: each.words() for name, each in kinds.items()}

    def facets(self, *, where: str | None = None, limit: int = 50, group: str | None = None) -> Sequence[Facet]:
        """Values and counts of each attribute among the items that a filter passes; of products with `group`."""
        check_least(0, limit=limit)
        check_group(group)
        with self._database.scanning() as reader:
            names, clause = reads.filter_of(reader.connection, where)
            return reads.facets(reader.connection, names, clause, limit=limit, group=group)

    def search(self, queries: Mapping[str, Float32], request: SearchRequest) -> Neighbours:
        """Find the nearest items."""
        damage: RowFileError | None = None
        for _ in range(SEGMENT_TRIES):
            state, allowed = self._current.for_search(request.where, index=request.index)
            search = partial(self._nearest, state, queries, request, allowed)
            try:
                if not state.with_garments:
                    return search(request.k)
                return search_folded(search, self.item_rows, k=request.k, count=allowed.count)
            except RowFileError as error:
                self._current.discard_segment(state, error)
                damage = error
        raise StorageFailedError(
            f"{damage}, and so was each of {SEGMENT_TRIES} segments made from the database; see the system's log, the "
            "disk may be failing"
        )

    def full_text(self, words: Sequence[str], *, k: int, where: str | None = None) -> FullText:
        """Find the items with any of some words in their id, product or text attributes."""
        from lookalike.gallery.local.full_text import search as full_text

        check_least(1, k=k)
        return full_text.search(self._current, self._words, words, k=k, where=where)

    def item_rows(self, rows: Int64) -> Int64:
        """The rows of the items that rows belong to; rows that have been removed since, and -1, stay."""
        numbers, places = np.unique(rows, return_inverse=True)
        with self._database.viewing() as reader:
            known = garments_table.owners(reader.connection, numbers.tolist())
        owners = np.array([known.get(number, number) for number in numbers.tolist()], dtype=np.int64)
        return owners[places].reshape(rows.shape)

    def _nearest(
        self, state: Snapshot, queries: Mapping[str, Float32], request: SearchRequest, allowed: AllowedRows, k: int
    ) -> Neighbours:
        """The k nearest rows of a snapshot."""
        if request.metrics:
            return nearest_by_metric(state, queries, request, k=k, allowed=allowed)
        return nearest(state, queries, request, k=k, allowed=allowed, keep=self._database.writable)

    @property
    def version(self) -> object:
        """Version of the data, which changes with each commit, and when another program writes into the file."""
        return self._current.present().version.id, self._current.seen

    def has_index(self, name: str) -> bool:
        """Whether an index can be searched without building it first; true in a small gallery."""
        if name == "auto":
            return True
        state = self._current.present()
        if state.version.count <= FEW:
            return True
        return state.segment is not None and state.segment.has(name)

    def load_index(self, request: SearchRequest) -> None:
        """Load what is saved of the index of a search, ahead of it."""
        load_index(self._current.present(), request, keep=self._database.writable)

    def prepare_filter(self, where: str) -> None:
        """Evaluate a filter ahead of the search that uses it."""
        self._current.for_search(where, index="auto")

    def rows(self) -> Iterator[tuple[Sequence[Item], dict[str, Float32]]]:
        """Iterate over all items and their raw vectors, in batches, in the order of adding."""

        def batches(connection: sqlite3.Connection) -> Iterator[tuple[Sequence[Item], dict[str, Float32]]]:
            spaces, names = read_spaces(connection), AttributeNames.read(connection)
            for items, vectors in record_reads.batches(connection, names, spaces=spaces, size=BATCH):
                yield items, {name: vectors[:, place] for name, place in slices(spaces).items()}

        return self._database.iterate(batches)

    def records(self, ids: Sequence[str] | None = None) -> Iterator[RecordBatch]:
        """Iterate over all records, or those of some ids, in batches, in the order of adding."""

        def batches(connection: sqlite3.Connection) -> Iterator[RecordBatch]:
            spaces, names = read_spaces(connection), AttributeNames.read(connection)
            return record_reads.record_batches(connection, names, spaces=spaces, size=BATCH, ids=ids)

        return self._database.iterate(batches)

    def contents(self, *, without_source: str | None = None) -> Iterator[tuple[str, Content]]:
        """Iterate over the contents of items whose file stamps are known, by id, in any order."""
        read = partial(record_reads.contents, without_source=without_source, size=BATCH)
        return (content for batch in self._database.iterate(read) for content in batch)

    def optimise(self) -> None:
        """Build the segment and index at the end of an indexing run; may take seconds."""
        state = self._current.refreshed(wait_s=WAIT_FOR_BUILDER_S)
        if state.segment is not None:
            build_usual_index(state.segment, state.weights, keep=self._database.writable)
        if self._database.writable:
            with contextlib.suppress(GalleryLockedError):  # the other writer does it
                self._database.checkpoint()

    def verify(self, *, photos: bool = False) -> Health:
        """Check all data for damage and contradictions; reads the whole gallery.

        Args:
            photos: Check that the files of photos exist.
        """
        from lookalike.gallery.local import verification

        return verification.verify(self._database, self._segment_files, self._text_files, photos=photos)

    def compact(self) -> None:
        """Purge removed rows, and build a new segment.

        Raises:
            GalleryLockedError: Another process is writing.
        """
        maintenance.compact(self._database, self._segment_files, self._text_files, wait_s=WAIT_FOR_BUILDER_S)
        self.optimise()

    def info(self) -> dict[str, JSON]:
        """Describe the gallery: counts, spaces, sizes, the state of its index."""
        return maintenance.info(self._database, self._segment_files, self._current.present())
