"""The part of a gallery on Milvus that reads many records: sources, contents, and items with their vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lookalike.gallery.filters.milvus import literal
from lookalike.gallery.milvus import maintenance
from lookalike.gallery.milvus.facets import AT_ONCE
from lookalike.gallery.milvus.reads import ALL, MilvusReader
from lookalike.gallery.milvus.records import KNOWN, added_rows_of, record_batch, to_record
from lookalike.gallery.milvus.roots import MilvusRoots
from lookalike.gallery.record_batch import RecordBatch
from lookalike.spaces import slices, width
from lookalike.types import Content, Float32, Item

WHOLE = (*KNOWN, "_raw", "vector")
"""All fields of a record."""


class MilvusRecords(MilvusRoots):
    """Methods of `lookalike.gallery.milvus.gallery.MilvusGallery` that read many records."""

    _reader: MilvusReader

    def sources(self) -> Mapping[str, int]:
        """Number of items of each source."""
        known = self._state.metadata(fresh=True)
        return maintenance.sources(self._reader, known) if self._state.has_rows() else {}

    def contents(self, *, without_source: str | None = None) -> Iterator[tuple[str, Content]]:
        """Iterate over the contents of items whose file stamps are known, by id, in any order."""
        if not self._state.has_rows():
            return
        where = ALL if without_source is None else f"_source != {literal(without_source)}"
        for rows in self._reader.ordered(where, KNOWN, size=AT_ONCE):
            for record in map(to_record, rows):
                if record.file_stamp is not None:
                    yield record.item.id, Content.of(record.item, record.file_stamp)

    def rows(self) -> Iterator[tuple[Sequence[Item], dict[str, Float32]]]:
        """Iterate over all items and their raw vectors, in batches, in the order of adding."""
        if not self._state.has_rows():
            return
        spaces = self._state.metadata().spaces
        for batch in self._reader.ordered(ALL, WHOLE):
            vectors = added_rows_of(batch, columns=width(spaces))
            yield (
                [to_record(row).item for row in batch],
                {name: vectors[:, place] for name, place in slices(spaces).items()},
            )

    def records(self, ids: Sequence[str] | None = None) -> Iterator[RecordBatch]:
        """Iterate over all records, or those of some ids, in batches, in the order of adding."""
        if self._state.has_rows():
            spaces = self._state.metadata().spaces
            for batch in self._reader.ordered(ALL, WHOLE) if ids is None else self._reader.named(ids, WHOLE):
                yield record_batch(batch, spaces=spaces)
