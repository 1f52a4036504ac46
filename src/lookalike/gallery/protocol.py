"""What the rest of the package needs from a gallery, wherever it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lookalike.gallery.health import Health
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.projection import Projection
from lookalike.spaces import Space
from lookalike.types import JSON, FileStamp, Float32, Item, Neighbours


@dataclass(frozen=True, slots=True)
class Facet:
    """One attribute and how often each of its values occurs, most frequent first.

    Attributes:
        name: Of the attribute.
        counts: By value, as text.
        range: Least and largest of the values that are numbers, also of those that `counts` has no room for.
    """

    name: str
    counts: Mapping[str, int]
    range: tuple[float, float] | None = None


class GalleryReader(Protocol):
    """What searches and readers need of a gallery."""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The spaces, in the order of the concatenated rows; empty before the first `add`."""
        ...

    @property
    def model(self) -> str | None:
        """Where the model is that filled the gallery: `default` or a path; None where it is unknown."""
        ...

    @property
    def roots(self) -> tuple[str, ...]:
        """Folders and addresses that photos were indexed from; see `lookalike.gallery.roots`."""
        ...

    def __len__(self) -> int:
        """Number of items."""
        ...

    def source_items(self, source: str) -> dict[str, tuple[Item, FileStamp | None]]:
        """Items that came from a source, by id, as it described them, with their file stamps."""
        ...

    def get(self, item_id: str) -> Item:
        """One item.

        Raises:
            UnknownNameError: It is not there.
        """
        ...

    def vectors(self, item_id: str) -> dict[str, Float32]:
        """The rows of one item by space, each (1, D) float32, as they were added.

        Raises:
            UnknownNameError: It is not there.
        """
        ...

    def unit_vectors(self, rows: Sequence[int], *, version: object = None) -> dict[str, Float32]:
        """Unit rows by space, each (B, D) float32; zeros for a row that is no longer there.

        Args:
            rows: B numbers of rows.
            version: As in `items`.

        Raises:
            GalleryReplacedError: As in `items`.
        """
        ...

    @property
    def stored_weights(self) -> StoredWeights:
        """The usual weights of its spaces, as far as they were learned for it."""
        ...

    @property
    def projections(self) -> Mapping[str, Projection]:
        """By which the rows of some of its spaces are made from what a model makes."""
        ...

    def items(self, rows: Sequence[int], *, version: object = None) -> dict[int, Item]:
        """Items by row; a row that is no longer there is left out.

        Args:
            rows: Numbers of rows.
            version: `Neighbours.version` of the search that found them; None skips the check.

        Raises:
            GalleryReplacedError: The rows are of a state that the gallery has never been in: it was replaced, compacted
                or brought back from a copy since the search, which must be done again.
        """
        ...

    def list(self, *, where: str | None = None, offset: int = 0, limit: int | None = 50) -> tuple[int, Sequence[Item]]:
        """How many items a filter passes, and a page of them in the order they were added."""
        ...

    def attributes(self) -> Mapping[str, Sequence[str]]:
        """Kinds of values by attribute: `text`, `number`, `boolean` and `nested`."""
        ...

    def facets(self, *, where: str | None = None, limit: int = 50) -> Sequence[Facet]:
        """Values and counts of each attribute among the items that a filter passes."""
        ...

    def search(self, queries: Mapping[str, Float32], request: SearchRequest) -> Neighbours:
        """Find the nearest items, by these options of the request.

        - k: Number of neighbours; fewer come back when fewer items pass the filter.
        - weights: By space; None takes the stored weights of the gallery, or else the defaults.
        - where: A filter that the items pass.
        - index: A name of `lookalike.index.INDEXES`, or `auto`.
        - probes: Number of lists that `kmeans` or `ivf` look into; None takes the index's own number.
        - metrics: A metric of SciPy's cdist by space. With any, the scan is exact, the vectors are as they were
          added, spaces without one use euclidean, and the score is minus the weighted sum of the distances.

        Args:
            queries: (Q, D) float32 for each space that is weighted.
            request: The options.

        Raises:
            UsageError: A weight, a filter or the name of a space is wrong, or the gallery is empty.
            MismatchError: The queries' shapes are wrong.
        """
        ...

    def rows(self) -> Iterator[tuple[Sequence[Item], dict[str, Float32]]]:
        """All items with their vectors as they were added, in batches, in the order they were added."""
        ...

    @property
    def version(self) -> object:
        """Version of the data, another one after each change; None where the back end cannot tell."""
        ...

    def sources(self) -> Mapping[str, int]:
        """Number of items of each source."""
        ...

    def records(self) -> Iterator[RecordBatch]:
        """All records, in batches, in the order in which their items were added."""
        ...

    def has_index(self, name: str) -> bool:
        """Whether an index can be searched without being built first."""
        ...

    def prepare_filter(self, where: str) -> None:
        """Evaluate a filter ahead of the search that uses it, where the gallery remembers the result.

        Raises:
            FilterError: The expression cannot be understood.
        """
        ...


class GalleryWriter(Protocol):
    """What writers need of a gallery."""

    def writing(self) -> AbstractContextManager[None]:
        """Be the only writer for as long as the context lasts, such as a whole index run.

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
        """Add items, or replace those of the same id, durably and all together.

        Args:
            items: B items with distinct ids.
            vectors: For every space, (B, D) float32. Rows that are not of unit length are kept as they came too.
            spaces: What the vectors are. The first `add` decides the gallery's; later ones must be equal.
            source: The catalogue they come from; `source_items` and pruning go by it.
            file_stamps: Size and time of the photos' files.
            overrides: Attributes set by hand on each item, in place of those set before; None takes an attribute
                away. Without this argument, what was set by hand before stays on top.

        Raises:
            MismatchError: The spaces are not the gallery's, or shapes disagree.
            GalleryLockedError: Another process is writing.
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
        """Replace what is known of items whose vectors stay, all together: product, attributes, place of the photo.

        Args:
            items: B items with distinct ids.
            source: The catalogue they come from; empty keeps the one they have.
            file_stamps: Size and time of the photos' files; None keeps those they have.
            overrides: As in `add`.

        Raises:
            UnknownNameError: An id that is not in the gallery.
        """
        ...

    def override(self, item_id: str, attributes: Mapping[str, JSON]) -> Item:
        """Change attributes of an item by hand; they stay when its catalogue is indexed again.

        Args:
            item_id: The item.
            attributes: By name; None takes an attribute away.

        Returns:
            The item as it is now.

        Raises:
            UnknownNameError: It is not there.
            UsageError: A value is nothing that JSON can say.
        """
        ...

    def remove(self, ids: Sequence[str]) -> int:
        """Remove items; ids that are not there are passed over. Returns how many were removed."""
        ...

    def remember_model(self, model: str) -> None:
        """Remember where the model is that fills the gallery."""
        ...

    def remember_roots(self, more: Iterable[str]) -> None:
        """Keep more roots: an index run does, an import does not."""
        ...

    def store_weights(self, what: StoredWeights) -> None:
        """Keep the weights that were learned for it, in place of those before.

        Raises:
            GalleryLockedError: Another process is writing.
        """
        ...

    def store_projections(self, projections: Mapping[str, Projection]) -> None:
        """Decide the projections; only before the first `add`.

        Raises:
            UsageError: There are rows already.
        """
        ...

    def photo_owner(self) -> Sequence[str]:
        """Names of the folders whose photos are this gallery's own; see `lookalike.gallery.photo_store`.

        Raises:
            GalleryLockedError: Another process is writing, and the gallery has no name for this place yet.
        """
        ...


class GalleryAdministration(Protocol):
    """What commands that look after a gallery need of it."""

    def optimise(self) -> None:
        """Make searches as fast as they can be; call it at the end of an index run. It may take seconds."""
        ...

    def info(self) -> dict[str, JSON]:
        """What the gallery is: counts, spaces, sizes, the state of its index."""
        ...

    def close(self) -> None:
        """Let go of files and connections; what is asked for later opens them again."""
        ...

    @property
    def photo_folder(self) -> Path | None:
        """Folder inside the gallery for photos that were sent for it; None where the gallery is not a folder."""
        ...

    @property
    def skipped_list(self) -> Path | None:
        """File for the list of photos that an index run skipped; None where the gallery is not a folder."""
        ...

    @property
    def has_exclusive_writer(self) -> bool:
        """Whether `writing` keeps other writers out."""
        ...

    def verify(self, *, photos: bool = False) -> Health:
        """Check all data for damage and contradictions.

        Args:
            photos: Check that the files of photos exist.
        """
        ...

    def compact(self) -> None:
        """Purge removed rows.

        Raises:
            GalleryLockedError: Another process is writing.
        """
        ...

    def stored_bytes(self) -> int:
        """Bytes that the gallery takes: its files, or about the vectors that its server keeps."""
        ...

    def discard_if_unused(self) -> None:
        """Delete the gallery if this object created it and nothing was added."""
        ...


class Gallery(GalleryReader, GalleryWriter, GalleryAdministration, Protocol):
    """Items and their vectors; see `lookalike.gallery.local.gallery.LocalGallery` for the one in a folder."""
