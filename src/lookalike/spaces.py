"""Spaces, weights and the score of an item.

The score of an item is the weighted mean of its cosines, `sum(w_s * cos_s) / sum(w_s)`, in [-1, 1]. Only the query
side carries the weights: with the query's parts scaled by `w_s / sum(w)`, the score is one inner product with the
concatenated unit rows, so one index answers every weighting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from numbers import Real
from typing import Final, TypeVar

import numpy as np

from lookalike.errors import MismatchError, UnknownNameError, UsageError
from lookalike.types import Float32

Named = TypeVar("Named")

DEFAULT_WEIGHTS: Mapping[str, float] = {"deep": 1.0, "color": 0.1, "color-original": 0.1}
"""Default weights, chosen on the dev photos of the default model's card: with colour at 0, 0.1 and 0.3, NDCG@10 of
type, colour and gender is .476, .474 and .461, and users' label P@1 .750, .762 and .717; a garment pasted on a street
photo is found better with it."""


DTYPES: Final = ("float32", "int16")
"""Types in which a gallery stores the numbers of a space."""

DTYPE_OF_MODELS: Final = "int16"
"""Type of the spaces of embedders, and so of the galleries that `lookalike index` makes."""


@dataclass(frozen=True, slots=True)
class Space:
    """Named vector field.

    Attributes:
        name: Name, such as `deep` or `color`.
        dimension: D, length of its vectors.
        model_id: Model that makes the vectors, such as `default@9f3c`; only vectors of one model id are compared.
        dtype: Type that a gallery stores their numbers in: `float32`, which keeps every bit, or `int16`, which takes
            half the bytes and changes a cosine by about 3e-6, at most 2e-5 on 1,200 photos (see
            `lookalike.index.row_format`). A gallery uses `int16` if all of its spaces have it, else `float32` for all.
            Spaces that differ in nothing else are equal: a gallery keeps the types that it was made with.

    Raises:
        UsageError: There is no such type.
    """

    name: str
    dimension: int
    model_id: str
    dtype: str = field(default="float32", compare=False)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(f"the type of a space must be {' or '.join(DTYPES)}, got {self.dtype!r:.200}")

    def to_list(self) -> list[str | int]:
        """Name, dimension, model id and type, from which `Space(*values)` makes the space again."""
        return [self.name, self.dimension, self.model_id, self.dtype]


def dtype_of(spaces: Sequence[Space]) -> str:
    """Type in which a gallery stores its spaces: `int16` if all of them have it, else `float32`."""
    return "int16" if spaces and all(space.dtype == "int16" for space in spaces) else "float32"


def with_one_dtype(spaces: Sequence[Space]) -> tuple[Space, ...]:
    """Give spaces the type in which a gallery stores them."""
    return tuple(replace(space, dtype=dtype_of(spaces)) for space in spaces)


def check_keeps_bits(target: Sequence[Space], source: Sequence[Space], *, doing: str) -> None:
    """Check that a gallery would not round the vectors of another.

    Args:
        target: Spaces of the gallery to fill; empty for a new one.
        source: Spaces of the vectors.
        doing: Verb for the message, such as `copy`.

    Raises:
        MismatchError: The target stores whole numbers, and the source float32.
    """
    if dtype_of(target) == "int16" and dtype_of(source) != "int16":
        raise MismatchError(
            f"the target stores vectors as int16, and the source as float32, which would be rounded; {doing} the "
            "source into a new gallery"
        )


RESERVED: Final = ("photo", "text", "full_text")
"""Names that no space has: parts of the score of a search by words, beside those of the spaces."""


def agree_on_spaces(known: Sequence[Space], given: Sequence[Space]) -> None:
    """Check the spaces of vectors to add to a gallery.

    Args:
        known: Spaces of the gallery; empty for a new one.
        given: Spaces of the vectors.

    Raises:
        MismatchError: The gallery has other spaces.
        UsageError: There are no spaces, two have one name, or a name is reserved.
    """
    if known and tuple(known) != tuple(given):
        raise MismatchError(
            f"the gallery has the spaces {format_spaces(known)}, and these vectors are of {format_spaces(given)}"
        )
    if not given or len({space.name for space in given}) != len(given):
        raise UsageError(f"a gallery needs spaces with distinct names, got {format_spaces(given)}")
    if taken := [space.name for space in given if space.name in RESERVED]:
        raise UsageError(f"a space cannot be named {taken[0]!r}: answers name a part of the score so")


def resolve(name: str, spaces: Sequence[Space]) -> Space:
    """Find a space by its name or a unique prefix of it.

    >>> resolve("col", [Space("deep", 512, "default@9f3c"), Space("color", 64, "color@2")]).name
    'color'

    Raises:
        UnknownNameError: The name matches no space, or is a prefix of several.
    """
    for space in spaces:
        if space.name == name:
            return space
    begun = [space for space in spaces if name and space.name.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    raise UnknownNameError("space", name, [space.name for space in spaces])


def resolve_names(named: Mapping[str, Named], spaces: Sequence[Space]) -> dict[str, Named]:
    """Replace names of spaces, or unique prefixes of them, by full names.

    Raises:
        UnknownNameError: A name matches no space.
        UsageError: Two names resolve to one space.
    """
    resolved: dict[str, Named] = {}
    for name, value in named.items():
        space = resolve(name, spaces).name
        if space in resolved:
            raise UsageError(f"the space {space!r} is named twice")
        resolved[space] = value
    return resolved


def resolve_weights(
    weights: Mapping[str, float] | None, spaces: Sequence[Space], *, stored: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Complete the weights of a query; spaces that are not named get 0.

    Args:
        weights: Weights by name of the space, each at least 0; None takes the stored weights.
        spaces: Spaces of the gallery.
        stored: Weights that `lookalike fuse` learned and the gallery keeps; None takes `DEFAULT_WEIGHTS`, and 1 for
            spaces that are not in it.

    Raises:
        UnknownNameError: A name is not one of the gallery's spaces.
        UsageError: A weight is negative or not finite, none is above 0, or a space is named twice.
    """
    if weights is None:
        usual = DEFAULT_WEIGHTS if stored is None else stored
        return {space.name: usual.get(space.name, 1.0 if stored is None else 0.0) for space in spaces}
    if not isinstance(weights, Mapping):
        raise UsageError(f"weights must be a dict such as {{'deep': 1, 'color': 0.3}}, got {weights!r:.200}")
    for name, weight in weights.items():
        if not isinstance(weight, Real) or not math.isfinite(weight) or weight < 0:
            raise UsageError(f"the weight of {name!r} must be a number of at least 0, got {weight!r:.200}")
    named = resolve_names(weights, spaces)
    resolved = {space.name: float(named.get(space.name, 0.0)) for space in spaces}
    if not math.isfinite(sum(resolved.values())):
        raise UsageError("the weights are too large to be summed")
    if not any(resolved.values()):
        raise UsageError("at least one space needs a weight above 0")
    return resolved


def width(spaces: Sequence[Space]) -> int:
    """Length of the concatenated vectors."""
    return sum(space.dimension for space in spaces)


def slices(spaces: Sequence[Space]) -> dict[str, slice]:
    """Slice of each space in the concatenated vectors."""
    ends = accumulate(space.dimension for space in spaces)
    return {space.name: slice(end - space.dimension, end) for space, end in zip(spaces, ends, strict=True)}


def unit_rows(rows: Float32) -> Float32:
    """Scale rows to length 1; rows of zeros stay zeros, so that their cosines are 0.

    Args:
        rows: (B, D) float32.

    Returns:
        (B, D) float32.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Float32 = np.divide(rows, lengths, out=np.zeros_like(rows, dtype=np.float32), where=lengths > 0)
    return unit


def concatenate(vectors: Mapping[str, Float32], spaces: Sequence[Space]) -> Float32:
    """Concatenate the vectors of all spaces in their order: (B, sum of D) float32.

    Raises:
        MismatchError: A space is missing, or has vectors of another dimension.
    """
    for space in spaces:
        check_rows(vectors, space)
    return np.concatenate([vectors[space.name] for space in spaces], axis=1, dtype=np.float32)


def scaled_query(vectors: Mapping[str, Float32], weights: Mapping[str, float], spaces: Sequence[Space]) -> Float32:
    """Concatenate a query with each part scaled by its share of the weights, so that one inner product is the score.

    Args:
        vectors: (Q, D) float32 unit vectors for each space with a weight above 0; others may be missing.
        weights: Weight of each space, from `resolve_weights`.
        spaces: Spaces of the gallery.

    Returns:
        (Q, sum of D) float32, zeros for spaces of weight 0.

    Raises:
        MismatchError: A space with a weight is missing, or has vectors of another dimension.
    """
    total = sum(weights.values())
    weighted = [space for space in spaces if weights[space.name] > 0]
    for space in weighted:
        check_rows(vectors, space)
    query = np.zeros((len(vectors[weighted[0].name]), width(spaces)), dtype=np.float32)
    place = slices(spaces)
    for space in weighted:
        query[:, place[space.name]] = vectors[space.name] * np.float32(weights[space.name] / total)
    return query


def check_rows(vectors: Mapping[str, Float32], space: Space) -> None:
    """Check that the vectors of a space exist and have its dimension.

    Raises:
        MismatchError: They are missing, or have another shape.
    """
    if space.name not in vectors:
        raise MismatchError(f"the space {space.name!r} needs vectors, and there are only {sorted(vectors)}")
    shape = vectors[space.name].shape
    if len(shape) != 2 or shape[1] != space.dimension:
        raise MismatchError(f"vectors of {space.name!r} must have the shape (B, {space.dimension}), got {shape}")


def format_spaces(spaces: Sequence[Space]) -> str:
    """Text of spaces for messages.

    >>> format_spaces([Space("deep", 512, "default@9f3c"), Space("color", 64, "color@2")])
    'deep (512 of default@9f3c), color (64 of color@2)'
    """
    return ", ".join(f"{space.name} ({space.dimension} of {space.model_id})" for space in spaces) or "none"
