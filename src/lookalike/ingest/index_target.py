"""What the indexing pipeline needs of a gallery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.stored_item import StoredItem
from lookalike.spaces import Space
from lookalike.types import JSON, Content, FileStamp, Float32, Item


class IndexTarget(Protocol):
    """Methods of a gallery that the pipeline calls; `lookalike.gallery.protocol.Gallery` documents them."""

    def add(
        self,
        items: Sequence[Item],
        vectors: Mapping[str, Float32],
        *,
        spaces: Sequence[Space],
        source: str = "",
        file_stamps: Sequence[FileStamp] | None = None,
    ) -> None:
        """Add or replace items in one transaction."""
        ...

    def __len__(self) -> int:
        """Number of items."""
        ...

    def update(
        self,
        items: Sequence[Item],
        *,
        source: str = "",
        file_stamps: Sequence[FileStamp] | None = None,
        overrides: Sequence[Mapping[str, JSON]] | None = None,
    ) -> None:
        """Replace the metadata of items; vectors stay."""
        ...

    def remove(self, ids: Sequence[str]) -> int:
        """Remove items; returns how many."""
        ...

    def source_items(self, source: str) -> dict[str, tuple[Item, FileStamp | None]]:
        """Items of a source, by id, with their file stamps."""
        ...

    def stored_items(self, ids: Sequence[str]) -> Mapping[str, StoredItem]:
        """Items by id with their overrides, sources and file stamps; unknown ids are left out."""
        ...

    def contents(self, *, without_source: str | None = None) -> Iterator[tuple[str, Content]]:
        """Iterate over the contents of items whose file stamps are known, by id."""
        ...

    def records(self, ids: Sequence[str]) -> Iterator[RecordBatch]:
        """Iterate over the records of some ids, in batches."""
        ...

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders and URLs that photos came from so far."""
        ...

    def remember_roots(self, more: Iterable[str]) -> None:
        """Store folders and URLs that photos come from."""
        ...
