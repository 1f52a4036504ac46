"""Why a match looks similar: the regions of query and match that agree most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.answers import Explanation, Match, Regions
from lookalike.errors import PhotoError, UsageError
from lookalike.retrieval.garment_choice import Part, rereadable
from lookalike.spaces import unit_rows
from lookalike.types import Box, Float32, Item

if TYPE_CHECKING:
    from lookalike.embedding.protocol import Embedder, PhotoMap
    from lookalike.gallery.protocol import Gallery
    from lookalike.images import Limits, Source
    from lookalike.retrieval.examples import Examples

MOST: Final = 20
"""Largest number of matches that are explained, since the photo of each is read and embedded."""


def agreement(cells: Float32, others: Float32) -> Float32:
    """How much each cell of a photo agrees with another photo, (h, w) float32 in [0, 1].

    The squared cosine between the cell and the most similar cell of the other photo, times the weight of the cell in
    its photo: its dot product with the mean cell, as a fraction of the largest one. Plain background has little weight.

    Args:
        cells: (h, w, C) float32, last feature map of the photo.
        others: (h', w', C) float32, last feature map of the other photo.

    Source: Stylianou, Souvenir, Pless 2019, Visualizing Deep Similarity Networks (the weight, which is their
        decomposition of the dot product of two averages, of a photo with itself).
    """
    mine, theirs = cells.reshape(-1, cells.shape[-1]), others.reshape(-1, others.shape[-1])
    weights = np.maximum(mine @ mine.mean(axis=0), 0.0)
    weights /= max(float(weights.max()), 1e-12)
    nearest = (unit_rows(mine) @ unit_rows(theirs).T).max(axis=1)
    agreed: Float32 = np.clip(nearest, 0.0, 1.0) ** 2 * weights
    return agreed.reshape(cells.shape[:2])


def explanation(query: PhotoMap, match: PhotoMap) -> Explanation:
    """Regions in which two photos agree."""
    return Explanation(
        Regions(agreement(query.cells, match.cells), query.area),
        Regions(agreement(match.cells, query.cells), match.area),
    )


def explainable(examples: Examples, *, limits: Limits | None) -> Examples:
    """The same examples, whose photo can be read again after the search.

    Args:
        examples: Query examples.
        limits: Limits of photos; None takes those of `lookalike.images`.

    Raises:
        UsageError: There is not a single photo or item.
        PhotoError: The photo cannot be read.
    """
    from lookalike.images import DEFAULT_LIMITS

    if len(examples.photos) + len(examples.items) != 1 or examples.several:
        raise UsageError("explain compares the matches with one photo or item; with several or none, leave it out")
    return rereadable(examples, limits=limits or DEFAULT_LIMITS) if examples.photos else examples


class Explainer:
    """Explains the matches of a query by the feature maps of their photos."""

    def __init__(
        self, embedder: Embedder, read_photo: Callable[[Item], Source], *, limits: Limits | None, remote: bool
    ) -> None:
        """Join what reads photos and what maps them.

        Args:
            embedder: Embedder of the gallery's photos.
            read_photo: Reads the photo of an item, as `Answer.read_photo` does.
            limits: Limits of photos; None takes those of `lookalike.images`.
            remote: Whether photos in stores and on the web are read.
        """
        self._embedder, self._read_photo, self._limits, self._remote = embedder, read_photo, limits, remote

    def explained(self, matches: Sequence[Match], query: PhotoMap) -> list[Match]:
        """The same matches, the first `MOST` with an explanation where their photo can be read.

        Raises:
            ModelError: The model gives no feature map.
        """
        return [*(self._with_explanation(match, query) for match in matches[:MOST]), *matches[MOST:]]

    def of_query(self, part: Part, gallery: Gallery) -> PhotoMap:
        """Feature map of what a search looks at, with `explainable` examples.

        Raises:
            ModelError: The model gives no feature map.
            PhotoError: The photo of the query item may not or cannot be read.
        """
        if part.examples.photos:
            return self._map_of(part.examples.photos[0], part.box)
        item = gallery.get(part.examples.items[0])
        return self._of_item(item, item.parts[0])

    def _with_explanation(self, match: Match, query: PhotoMap) -> Match:
        try:
            return replace(match, explanation=explanation(query, self._of_item(match.item, match.part)))
        except PhotoError:  # pictures and pages of the answer tell why
            return match

    def _of_item(self, item: Item, part: Box | None) -> PhotoMap:
        """Feature map of a part of an item's photo.

        Raises:
            ModelError: The model gives no feature map.
            PhotoError: The photo may not or cannot be read.
        """
        from lookalike.remote.addresses import is_address

        if not self._remote and is_address(item.location):
            raise PhotoError(item.photo, "photos in stores and on the web are not read for an explanation here")
        return self._map_of(self._read_photo(item), part, name=item.photo)

    def _map_of(self, photo: Source, part: Box | None, *, name: str | None = None) -> PhotoMap:
        from lookalike.images import DEFAULT_LIMITS, one_photo, open_image

        if isinstance(photo, BytesIO):
            photo.seek(0)
        limits, size = self._limits or DEFAULT_LIMITS, self._embedder.wanted_size
        with one_photo():
            return self._embedder.map_of(open_image(photo, at_least=size, box=part, limits=limits, name=name))
