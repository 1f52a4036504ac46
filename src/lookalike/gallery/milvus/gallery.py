"""The gallery in a Milvus collection."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType

import numpy as np

from lookalike.errors import MismatchError, UsageError
from lookalike.gallery.filters import expression as filters
from lookalike.gallery.filters.milvus import MilvusCompiler, within_partitions
from lookalike.gallery.health import Health
from lookalike.gallery.local.writes import Overrides
from lookalike.gallery.milvus import facets as browsing
from lookalike.gallery.milvus import maintenance, product_reads
from lookalike.gallery.milvus.address import Address
from lookalike.gallery.milvus.editing import MilvusEditing
from lookalike.gallery.milvus.reads import ALL, check_unicode
from lookalike.gallery.milvus.records import KNOWN, added_rows_of, kinds_of, to_record
from lookalike.gallery.milvus.search import Searcher
from lookalike.gallery.milvus.state import State
from lookalike.gallery.milvus.writes import MilvusWriter, check_items, with_overrides
from lookalike.gallery.product_rows import ProductRows
from lookalike.gallery.records import vector_rows
from lookalike.gallery.request import ResolvedRequest, SearchRequest
from lookalike.gallery.request_checks import check_group, check_least
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.gallery.weighting import checked_queries
from lookalike.projection import Projection
from lookalike.spaces import Space, agree_on_spaces, slices, width, with_one_dtype
from lookalike.types import JSON, Facet, FileStamp, Float32, Item, Neighbours, several


class MilvusGallery(MilvusEditing):
    """Gallery in a Milvus collection; `lookalike.gallery.protocol.Gallery` documents its methods.

    Processes may write concurrently: each item is replaced as a whole. A large batch becomes durable in parts, and
    readers see the writes of others within seconds, or at once with `consistency=strong`.

    Args:
        address: Address of the gallery.
        create: Create the gallery if there is none.

    Raises:
        GalleryNotFoundError: There is no gallery, and `create` is not set.
        GalleryUnreachableError: The server does not answer.
        MismatchError: The collection is not a gallery's, or of a format that this version does not read.
        MissingExtraError: The client library of Milvus is not installed.
    """

    def __init__(self, address: Address, *, create: bool = False) -> None:
        self.address = address
        self._state = State(address, create=create)
        self._connection, self._reader, self._metadata_store = (
            self._state.connection,
            self._state.reader,
            self._state.metadata_store,
        )
        self._writer = MilvusWriter(self._connection, self._reader)
        self._searcher = Searcher(self._connection, self._reader)
        self._projections: tuple[str, dict[str, Projection]] | None = None

    def __enter__(self) -> MilvusGallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; later calls open it again."""
        self._connection.close()

    def discard_if_unused(self) -> None:
        """Delete the gallery if this object created it and nothing was added."""
        self._state.discard_if_unused()

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Spaces, in the order of the concatenated vectors; empty before the first `add`."""
        return self._state.metadata().spaces

    @property
    def partition_by(self) -> str | None:
        """Attribute that partitions the collection; None without partitions."""
        return self._state.metadata().partition_by

    def __len__(self) -> int:
        return self._reader.count() if self._state.has_rows() else 0

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
        """Add items, or replace those of the same id."""
        sources = [source] * len(items) if isinstance(source, str) else source
        check_items(items, sources=sources, file_stamps=file_stamps)
        kinds = kinds_of(with_overrides(items, overrides))
        self._state.check_open()
        known = self._state.metadata()
        agree_on_spaces(known.spaces, spaces)
        if not known.spaces:
            vector_rows(vectors, spaces, count=len(items))  # raises before anything is written
            self._metadata_store.decide_spaces(with_one_dtype(spaces))
            self._state.forget_metadata()
        self._state.make_collection()
        known = self._state.metadata()
        agree_on_spaces(known.spaces, spaces)
        blobs = vector_rows(vectors, known.spaces, count=len(items))  # another process may have decided the types
        if self._metadata_store.add_new(known, kinds, sources=sources):
            self._state.forget_metadata()
        self._state.note_overrides(known, overrides)
        self._writer.add(items, blobs, sources=sources, file_stamps=file_stamps, known=known, overrides=overrides)

    def remove(self, ids: str | Sequence[str]) -> int:
        """Remove an item, or several; unknown ids are ignored. Returns the number removed."""
        ids = several(ids)
        for item_id in ids:
            check_unicode(item_id)
        self._state.check_open()
        return self._writer.remove(ids) if self._state.has_rows() else 0

    def get(self, item_id: str) -> Item:
        """Read one item."""
        return self._record(item_id).item

    def vectors(self, item_id: str) -> dict[str, Float32]:
        """Raw vectors of one item by space, each (1, D) float32."""
        self._record(item_id)
        found = self._reader.by_id([item_id], ["vector", "_raw"])
        rows = added_rows_of(found, columns=width(self.spaces))
        return {name: rows[:, place] for name, place in slices(self.spaces).items()}

    def unit_vectors(self, rows: Sequence[int], *, version: object = None) -> dict[str, Float32]:
        """Unit vectors by space, each (B, D) float32; zeros for a removed row."""
        del version  # searches on Milvus have none
        wanted = [int(row) for row in rows]
        found = self._reader.by_row(wanted, ["vector"]) if self._state.has_rows() else {}
        together = np.zeros((len(wanted), width(self.spaces)), dtype=np.float32)
        for place, row in enumerate(wanted):
            if row in found:
                together[place] = found[row]["vector"]
        return {name: together[:, place] for name, place in slices(self.spaces).items()}

    @property
    def stored_weights(self) -> StoredWeights:
        """Learned default weights of the spaces, and the learned ranking."""
        return self._state.metadata().weights

    def store_weights(self, what: StoredWeights) -> None:
        """Replace the learned weights and the learned ranking."""
        self._metadata_store.write_weights(what)
        self._state.forget_metadata()

    @property
    def projections(self) -> Mapping[str, Projection]:
        """PCA projections by space; a space without one has the model's own vectors."""
        names, collection = self._state.metadata().projections, self._connection.collection
        kept = self._projections
        if kept is None or kept[0] != collection or set(names) != set(kept[1]):
            self._projections = kept = collection, self._metadata_store.read_projections(names)
        return kept[1]

    def store_projections(self, projections: Mapping[str, Projection]) -> None:
        """Store the projections; only before the first `add`."""
        if self._state.metadata(fresh=True).spaces:
            raise UsageError(
                f"{self.address.text} has items already; projections are set before the first item is added"
            )
        self._metadata_store.write_projections(projections)
        self._state.forget_metadata()
        self._projections = None

    def items(self, rows: Sequence[int], *, version: object = None) -> dict[int, Item]:
        """Items by row number; removed rows are left out."""
        del version  # searches on Milvus have none
        found = self._reader.by_row([int(row) for row in rows], KNOWN) if rows and self._state.has_rows() else {}
        return {number: to_record(row).item for number, row in found.items()}

    def list(
        self, *, where: str | None = None, offset: int = 0, limit: int | None = 50, group: str | None = None
    ) -> tuple[int, Sequence[Item]]:
        """Number of items that a filter passes, and a page of them in the order of adding; of products with `group`.

        Products are told apart by reading all items that pass.
        """
        check_least(0, offset=offset, limit=limit)
        check_group(group)
        expression = self._expression(where)
        if not self._state.has_rows():
            return 0, []
        if group is not None:
            return browsing.products(self._reader, expression, offset=offset, limit=limit)
        total, rows = self._reader.page(expression, KNOWN, offset=offset, limit=limit)
        return total, [to_record(row).item for row in rows]

    def attributes(self) -> Mapping[str, Sequence[str]]:
        """Kinds of values by attribute."""
        return {name: kinds.words() for name, kinds in self._state.metadata(fresh=True).kinds.items()}

    def facets(self, *, where: str | None = None, limit: int = 50, group: str | None = None) -> Sequence[Facet]:
        """Values and counts of each attribute among the items or products that a filter passes; reads all of these."""
        check_least(0, limit=limit)
        check_group(group)
        expression = self._expression(where)
        if not self._state.has_rows():
            return []
        kinds = self._state.metadata().kinds
        return browsing.facets(self._reader, expression, kinds=kinds, limit=limit, group=group)

    def search(self, queries: Mapping[str, Float32], request: SearchRequest) -> Neighbours:
        """Find the nearest items with the index of the collection, which the answer names."""
        known = self._state.metadata()
        if not known.spaces or not self._state.has_rows():
            raise UsageError(f"{self.address.text} is empty: nothing has been added to it")
        if isinstance(request, ResolvedRequest) and request.spaces != known.spaces:
            raise MismatchError(f"{self.address.text} was given another model during this search; search again")
        resolved = request.resolved(known.spaces, stored=known.weights.weights)
        checked = checked_queries(queries, resolved.weights, known.spaces)
        passing = None if request.where is None else self._expression(request.where)
        if resolved.metrics:
            found = self._searcher.by_metric(checked, resolved, where=passing)
        else:
            found = self._searcher.nearest(checked, resolved, where=passing, index_id=known.index_id)
        if self._connection.collection != (known.items or self.address.collection):
            raise MismatchError(f"{self.address.text} was given another model during this search; search again")
        return found

    def products(self, rows: Sequence[int], *, version: object = None) -> dict[int, str | None]:
        """Products by row number; None for an item without one; removed rows are left out."""
        del version  # searches on Milvus have none
        return product_reads.products_by_row(self._reader, rows) if self._state.has_rows() else {}

    def product_rows(self, names: Sequence[str], *, where: str | None = None, version: object = None) -> ProductRows:
        """Rows of products that a filter passes."""
        del version
        passing = self._expression(where)
        wanted = names if self._state.has_rows() else ()
        return product_reads.rows_of_products(self._reader, wanted, passing)

    def _expression(self, where: str | None) -> str:
        """Compile a filter to an expression of Milvus.

        Raises:
            FilterError: The filter is invalid.
        """
        if where is None:
            return ALL
        check_unicode(where)
        known = self._state.metadata()
        condition = filters.parse(where, known.kinds)
        expression = MilvusCompiler(partial(browsing.matching_texts, self._reader)).passing(condition)
        return within_partitions(expression, condition, known.partition_by)

    def optimise(self) -> None:
        """Build the index that fits the size of the collection, and wait for it; may take minutes."""
        if self._state.has_rows():
            count = self._reader.count(fresh=True)
            changes = partial(self._state.remember, {"index_id": secrets.token_hex(8)})
            maintenance.optimise(self._connection, count=count, columns=width(self.spaces), changes=changes)

    def verify(self, *, photos: bool = False) -> Health:
        """Check all data for damage and contradictions; reads the whole gallery.

        Args:
            photos: Check that the files of photos exist.
        """
        if not self._state.has_rows():
            return Health(0, ())
        return maintenance.verify(self._reader, self._state.metadata(fresh=True), photos=photos)

    def compact(self) -> None:
        """Purge removed rows."""
        if self._state.has_rows():
            maintenance.compact(self._connection)

    def stored_bytes(self) -> int:
        """Approximate bytes of vectors on the server, including removed ones."""
        return maintenance.stored_bytes(self._connection, columns=width(self.spaces)) if self._state.has_rows() else 0

    def info(self) -> dict[str, JSON]:
        """Describe the gallery: counts, spaces, sizes, the state of its index."""
        return maintenance.info(
            self._connection, self._reader, self._state.metadata(fresh=True), there=self._state.has_rows()
        )
