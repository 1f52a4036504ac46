"""PCA reduction: projections learned from the vectors of a gallery, and a copy of it with projected vectors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.gallery.creation import new_gallery
from lookalike.gallery.opening import HasGallery, gallery_of
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.request import SearchRequest
from lookalike.projection import Projection
from lookalike.spaces import resolve_names, resolve_weights
from lookalike.tuning.copied_rows import copy_rows
from lookalike.types import JSON, Float32, Int64, Item

ASKED: Final = 500
NEAREST: Final = 10


@dataclass(frozen=True, slots=True)
class Reduction:
    """Result of `reduce`.

    Attributes:
        items: Number of items.
        floats: Numbers per item, before and after.
        variance_kept: Fraction of the variance in the components, by reduced space, in [0, 1].
        kept_of_ten: Recall@10 of the copy against the gallery, in [0, 1].
        asked: Number of query items of `kept_of_ten`.
    """

    items: int
    floats: tuple[int, int]
    variance_kept: Mapping[str, float]
    kept_of_ten: float
    asked: int

    def to_json(self) -> dict[str, JSON]:
        """Return the JSON of `lookalike reduce --json`."""
        return {
            "items": self.items,
            "floats": list(self.floats),
            "variance_kept": dict(self.variance_kept),
            "kept_of_ten": self.kept_of_ten,
            "asked": self.asked,
        }


def reduce(
    gallery: HasGallery | str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    dimensions: Mapping[str, int],
    whiten: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Reduction:
    """Copy a gallery with the vectors of some spaces projected to fewer dimensions.

    The projections are learned from the gallery's vectors and stored in the copy, where they apply to queries and to
    items indexed later.

    Args:
        gallery: Address of the gallery, or its retriever; the gallery is not changed.
        target: Address of the new gallery.
        dimensions: New dimension of each space to reduce.
        whiten: Whitening, in [0, 1]; see `learn_projection`.
        progress: Called with the number of items copied and in all.

    Raises:
        UsageError: A space cannot be reduced to the dimension, or the target exists.
        UnknownNameError: The gallery has no such space.
    """
    if not isinstance(dimensions, Mapping) or not all(isinstance(number, Integral) for number in dimensions.values()):
        raise UsageError(f"dimensions must be a dict of whole numbers such as {{'deep': 128}}, got {dimensions!r:.200}")
    with gallery_of(gallery) as whole:
        wanted = resolve_names(dimensions, whole.spaces)
        if not wanted:
            raise UsageError("name a space and its new length, such as deep=128")
        if reduced := [name for name in wanted if name in whole.projections]:
            raise UsageError(f"{reduced[0]!r} is reduced already; reduce the gallery that it was made of")
        projections = {
            name: learn_projection(partial(rows_of, whole, name), dimension=dimension, whiten=whiten)
            for name, dimension in wanted.items()
        }
        with new_gallery(os.fspath(target)) as (copy, photos):
            copy.store_projections(projections)
            if whole.model is not None:
                copy.remember_model(whole.model)
            spaces = [
                projections[space.name].space(space) if space.name in projections else space for space in whole.spaces
            ]
            change = partial(projected, projections)
            copy_rows(whole, copy, change, spaces=spaces, photos=photos, progress=progress)
            copy.optimise()
            kept, asked = kept_of_ten(whole, copy)
            floats = tuple(sum(space.dimension for space in one.spaces) for one in (whole, copy))
            return Reduction(
                items=len(copy),
                floats=(floats[0], floats[1]),
                variance_kept={name: projection.kept for name, projection in projections.items()},
                kept_of_ten=kept,
                asked=asked,
            )


def rows_of(gallery: Gallery, name: str) -> Iterator[Float32]:
    """Yield the vectors of one space, in batches, as the model returned them."""
    for _, vectors in gallery.rows():
        yield vectors[name]


def projected(
    projections: Mapping[str, Projection], _: Sequence[Item], vectors: Mapping[str, Float32]
) -> dict[str, Float32]:
    """Project the vectors of the spaces that have a projection."""
    return {name: projections[name].apply(part) if name in projections else part for name, part in vectors.items()}


def learn_projection(blocks: Callable[[], Iterable[Float32]], *, dimension: int, whiten: float = 0.0) -> Projection:
    """Learn a PCA projection.

    Args:
        blocks: Returns an iterator over the vectors, in blocks of (B, D) float32; called twice.
        dimension: d, at least 1, at most D, and less than the number of vectors.
        whiten: Exponent of the standard deviation that each component is divided by, in [0, 1]: 0 keeps the variances,
            1 makes them equal.

    Raises:
        UsageError: There are too few vectors, their rank is below `dimension`, or a number is out of range.

    Source: Jegou and Chum 2012, Negative Evidences and Co-occurrences in Image Retrieval: the Benefit of PCA and
    Whitening.
    """
    if not 0 <= whiten <= 1:
        raise UsageError(f"whiten must be between 0 and 1, got {whiten:g}")
    sums = [(len(block), block.sum(axis=0, dtype=np.float64)) for block in blocks()]
    count = sum(rows for rows, _ in sums)
    if count <= dimension:
        raise UsageError(f"{dimension} dimensions need more than {dimension} rows to learn from, and there are {count}")
    mean = np.sum([total for _, total in sums], axis=0) / count
    products = np.zeros((len(mean), len(mean)))
    for block in blocks():
        centred = block.astype(np.float64) - mean
        products += centred.T @ centred
    if not 1 <= dimension <= len(mean):
        raise UsageError(f"rows of {len(mean)} numbers can be reduced to 1 to {len(mean)}, and not to {dimension}")
    variances, directions = np.linalg.eigh(products / count)
    variances, directions = variances[::-1], directions[:, ::-1]
    varied = int((variances > variances[0] * 1e-9).sum()) if variances[0] > 0 else 0
    if varied < dimension:
        raise UsageError(f"the rows vary in {varied} directions only; reduce them to at most that many dimensions")
    taken = directions[:, :dimension]
    largest = np.abs(taken).argmax(axis=0)
    taken = taken * np.sign(taken[largest, np.arange(dimension)])  # fix the signs, which are arbitrary
    components = (taken / variances[:dimension] ** (whiten / 2)).astype(np.float32)
    return Projection(mean.astype(np.float32), components, float(variances[:dimension].sum() / variances.sum()))


def kept_of_ten(gallery: Gallery, copy: Gallery) -> tuple[float, int]:
    """Measure recall@10 of a reduced copy against its gallery, by exact searches with the default weights.

    Returns:
        Recall@10 in [0, 1], and the number of query items.
    """
    weights = resolve_weights(None, gallery.spaces)
    _, items = copy.list(limit=None)
    step = max(1, len(items) // ASKED)
    ids = [item.id for item in items[::step]][:ASKED]

    def nearest(one: Gallery) -> list[set[str]]:
        stored = [one.vectors(item_id) for item_id in ids]
        queries = {name: np.concatenate([vectors[name] for vectors in stored]) for name in stored[0]}
        near = one.search(queries, SearchRequest(k=NEAREST + 1, weights=weights, index="exact"))
        rows: Int64 = near.rows
        names = one.items([row for row in np.unique(rows).tolist() if row >= 0], version=near.version)
        found = []
        for item_id, answered in zip(ids, rows.tolist(), strict=True):
            others = [names[row].id for row in answered if row >= 0 and names[row].id != item_id]
            found.append(set(others[:NEAREST]))
        return found

    shares = [len(a & b) / len(a) for a, b in zip(nearest(gallery), nearest(copy), strict=True) if a]
    return (float(np.mean(shares)) if shares else 1.0), len(ids)
