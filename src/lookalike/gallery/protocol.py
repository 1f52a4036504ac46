"""Interfaces of galleries, by who calls them: search and read, write; `editing` and `administration` have others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from lookalike.gallery.administration import GalleryAdministration
from lookalike.gallery.editing import GalleryEditing
from lookalike.gallery.product_rows import ProductRows
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.projection import Projection
from lookalike.spaces import Space
from lookalike.types import JSON, Content, Facet, FileStamp, Float32, FullText, Garment, Int64, Item, Neighbours


class GalleryReader(Protocol):
    """Methods for searching and reading."""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Spaces, in the order of the concatenated vectors; empty before the first `add`."""
        ...

    @property
    def model(self) -> str | None:
        """Model that filled the gallery: `default` or a path; None if unknown."""
        ...

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders and URLs that photos were indexed from; see `lookalike.gallery.roots`."""
        ...

    def __len__(self) -> int:
        """Number of items."""
        ...

    def source_items(self, source: str) -> dict[str, tuple[Item, FileStamp | None]]:
        """Items of a source, by id, with their file stamps; overrides are not applied."""
        ...

    @property
    def garment_count(self) -> int | None:
        """Number of garments that items are embedded by; None if the gallery keeps none, so that `add` refuses them."""
        ...

    def get(self, item_id: str) -> Item:
        """Read one item.

        Raises:
            UnknownNameError: There is no such item.
        """
        ...

    def vectors(self, item_id: str) -> dict[str, Float32]:
        """Raw vectors of one item, or of its first garment, by space: each (1, D) float32, as they were added.

        Raises:
            UnknownNameError: There is no such item.
        """
        ...

    def unit_vectors(self, rows: Sequence[int], *, version: object = None) -> dict[str, Float32]:
        """Unit vectors by space, each (B, D) float32; zeros for a removed row.

        Args:
            rows: B row numbers.
            version: As in `items`.

        Raises:
            GalleryReplacedError: As in `items`.
        """
        ...

    @property
    def stored_weights(self) -> StoredWeights:
        """Learned default weights of the spaces, and the learned ranking."""
        ...

    @property
    def projections(self) -> Mapping[str, Projection]:
        """PCA projections by space; a space without one has the model's own vectors."""
        ...

    def items(self, rows: Sequence[int], *, version: object = None) -> dict[int, Item]:
        """Items by row number; removed rows are left out. Rows of several garments have the same item.

        Args:
            rows: Row numbers.
            version: `Neighbours.version` of the search that found the rows; None skips the check.

        Raises:
            GalleryReplacedError: The version is not in the gallery's history: the gallery was replaced, compacted or
                restored from a copy since the search. Search again.
        """
        ...

    def garments(self, rows: Sequence[int], *, version: object = None) -> dict[int, Garment]:
        """Garments by row number; rows of whole photos or boxes, and removed rows, are left out.

        Args:
            rows: Row numbers.
            version: As in `items`.

        Raises:
            GalleryReplacedError: As in `items`.
        """
        ...

    def products(self, rows: Sequence[int], *, version: object = None) -> Mapping[int, str | None]:
        """Products by row number; None for an item without one; removed rows are left out.

        Args:
            rows: Row numbers.
            version: As in `items`.

        Raises:
            GalleryReplacedError: As in `items`.
        """
        ...

    def product_rows(self, names: Sequence[str], *, where: str | None = None, version: object = None) -> ProductRows:
        """Rows of products that a filter passes.

        Args:
            names: Products.
            where: Filter on the items, as in `search`.
            version: As in `items`.

        Raises:
            FilterError: The filter is invalid.
            GalleryReplacedError: As in `items`.
        """
        ...

    def list(
        self, *, where: str | None = None, offset: int = 0, limit: int | None = 50, group: str | None = None
    ) -> tuple[int, Sequence[Item]]:
        """Number of items that a filter passes, and a page of them in the order of adding.

        With `group`, which is `product`, it is the number of products, and of each the first item.
        """
        ...

    def attributes(self) -> Mapping[str, Sequence[str]]:
        """Kinds of values by attribute: `text`, `number`, `boolean` and `nested`."""
        ...

    def facets(self, *, where: str | None = None, limit: int = 50, group: str | None = None) -> Sequence[Facet]:
        """Values and counts of each attribute among the items, or with `group` the products, that a filter passes."""
        ...

    def search(self, queries: Mapping[str, Float32], request: SearchRequest) -> Neighbours:
        """Find the nearest items by these options of the request; of the garments of an item, the nearest one counts.

        - k: Number of neighbours; fewer are found if fewer items pass the filter.
        - weights: Weights by space; None takes the stored weights of the gallery, or else the defaults.
        - where: Filter on the items.
        - index: Name from `lookalike.index.INDEXES`, or `auto`.
        - probes: Number of lists that `kmeans` or `ivf` look into; None takes the index's own number.
        - metrics: Metric of SciPy's cdist by space. With any, all raw vectors are scanned, spaces without a metric use
          euclidean, and the score is minus the weighted sum of the distances.

        Args:
            queries: (Q, D) float32 for each space with a weight above 0.
            request: Search request.

        Raises:
            UsageError: A weight, filter or space name is invalid, or the gallery is empty.
            MismatchError: A query has the wrong shape.
        """
        ...

    def full_text(self, words: Sequence[str], *, k: int, where: str | None = None) -> FullText | None:
        """Find the items with any of some words in their id, product or text attributes; None if not offered.

        Case and accents do not matter. A word that no item has is taken for the beginning of words, or else for the
        most similar word, as far as one is near enough.

        Args:
            words: Words; one with other characters between its letters is several.
            k: Number of items; fewer are found if fewer have a word.
            where: Filter on the items, as in `search`.

        Raises:
            UsageError: There are too many words, one is too long, or the gallery is empty.
            FilterError: The filter is invalid.
        """
        ...

    def item_rows(self, rows: Int64) -> Int64:
        """The rows of the items that rows belong to, of the same shape: of several garments, that of the first.

        Rows of different searches can be compared by them. Removed rows, and -1, stay.
        """
        ...

    def rows(self) -> Iterator[tuple[Sequence[Item], dict[str, Float32]]]:
        """Iterate over all items and their raw vectors as `vectors` gives them, in batches, in the order of adding."""
        ...

    @property
    def version(self) -> object:
        """Version of the data, which changes with each commit; None if the back end has no versions."""
        ...

    def sources(self) -> Mapping[str, int]:
        """Number of items of each source."""
        ...

    def records(self, ids: Sequence[str] | None = None) -> Iterator[RecordBatch]:
        """Iterate over all records, or those of some ids, in batches, in the order of adding; unknown ids are ignored.

        Args:
            ids: Ids without repeats, whose order does not matter; None is all.
        """
        ...

    def contents(self, *, without_source: str | None = None) -> Iterator[tuple[str, Content]]:
        """Iterate over the contents of items whose file stamps are known, by id, in any order.

        `records` gives the vectors of an id; its content may have changed since.

        Args:
            without_source: Source whose items are left out.
        """
        ...

    def has_index(self, name: str) -> bool:
        """Whether an index can be searched without being built first."""
        ...

    def load_index(self, request: SearchRequest) -> None:
        """Load what is saved of the index of a search, ahead of it."""
        ...

    def prepare_filter(self, where: str) -> None:
        """Evaluate a filter ahead of the search that uses it, where the gallery remembers the result.

        Raises:
            FilterError: The filter is invalid.
        """
        ...


class GalleryWriter(Protocol):
    """Methods for writing."""

    def writing(self) -> AbstractContextManager[None]:
        """Hold the write lock during a context, such as a whole indexing run.

        Raises:
            GalleryLockedError: Another process is writing.
        """
        ...

    def add(
        self,
        items: Sequence[Item],
        vectors: Mapping[str, Float32],
        *,
        spaces: Sequence[Space],
        source: str | Sequence[str] = "",
        file_stamps: Sequence[FileStamp | None] | None = None,
        overrides: Sequence[Mapping[str, JSON]] | None = None,
    ) -> None:
        """Add items, or replace those of the same id, in one transaction.

        Args:
            items: B items with distinct ids.
            vectors: For every space, (R, D) float32: a row for each of `Item.parts`, which is one for each item without
                garments. Vectors of other than unit length are stored as they are, too.
            spaces: Spaces of the vectors. The first `add` sets the gallery's; later ones must be equal.
            source: Catalogue of the items, or one for each item; used by `source_items` and pruning.
            file_stamps: File stamps of the photos.
            overrides: Overrides of each item, `product` among them, replacing earlier ones; None as a value removes an
                attribute. Without this argument earlier overrides stay.

        Raises:
            MismatchError: The spaces are not the gallery's, or the shapes are wrong.
            GalleryLockedError: Another process is writing.
            UsageError: An item has garments, and the gallery does not keep them.
        """
        ...

    def update(
        self,
        items: Sequence[Item],
        *,
        source: str = "",
        file_stamps: Sequence[FileStamp | None] | None = None,
        overrides: Sequence[Mapping[str, JSON]] | None = None,
    ) -> None:
        """Replace the metadata of items (product, attributes, path) in one transaction; vectors and garments stay.

        Args:
            items: B items with distinct ids.
            source: Catalogue of the items; empty keeps the stored one.
            file_stamps: File stamps of the photos; None keeps the stored ones.
            overrides: As in `add`.

        Raises:
            UnknownNameError: The gallery has no item of an id.
        """
        ...

    def remove(self, ids: str | Sequence[str]) -> int:
        """Remove an item, or several; unknown ids are ignored. Returns the number removed."""
        ...

    def remember_model(self, model: str) -> None:
        """Store the model that fills the gallery: `default` or a path."""
        ...

    def remember_roots(self, more: Iterable[str]) -> None:
        """Add roots; an indexing run does, an import does not."""
        ...

    def store_weights(self, what: StoredWeights) -> None:
        """Replace the learned weights and the learned ranking.

        Raises:
            GalleryLockedError: Another process is writing.
        """
        ...

    def store_projections(self, projections: Mapping[str, Projection]) -> None:
        """Store the projections; only before the first `add`.

        Raises:
            UsageError: The gallery has items.
        """
        ...

    def photo_owner(self) -> Sequence[str]:
        """Names of the gallery's photo folders, the present one first; see `lookalike.gallery.photo_store`.

        Raises:
            GalleryLockedError: Another process is writing, and a new name must be stored.
        """
        ...


class Gallery(GalleryReader, GalleryWriter, GalleryEditing, GalleryAdministration, Protocol):
    """Items and their vectors; `lookalike.gallery.local.gallery.LocalGallery` is the one in a folder."""
