"""Composition: vectors of a query in words, and of a photo that words change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lookalike.embedding.color import SPACE_NAME as COLOR
from lookalike.spaces import unit_rows
from lookalike.text.colors import color_of
from lookalike.text.encoder import TextEncoder
from lookalike.text.words import ReadText
from lookalike.types import Float32

DEEP = "deep"


def asked(text: ReadText, encoder: TextEncoder) -> dict[str, Float32]:
    """Vectors of words by space, (1, D) float32 of unit length.

    The space `deep` is asked if a word is known, the space `color` if one names a colour.
    """
    vectors: dict[str, Float32] = {}
    if text.known:
        vectors[DEEP] = encoder.encode([" ".join(text.known)])
    color = color_of(text.known)
    if color is not None:
        vectors[COLOR] = color
    return vectors


def compose(
    photo: Mapping[str, Float32],
    text: ReadText,
    encoder: TextEncoder,
    *,
    labels: Mapping[str, Sequence[tuple[str, float]]] | None,
    weight: float,
) -> dict[str, Float32]:
    """Vectors of a photo that words change: what they do not name stays as the photo shows it.

    Args:
        photo: Vectors of the photo by space, (1, D) float32 of unit length.
        text: Words that say what is to be different.
        encoder: Text encoder of the photo's model.
        labels: Classes that the photo shows, with their probabilities, by head, as in
            `lookalike.embedding.labels.PhotoLabels`; None if they are unknown.
        weight: Weight of the words, from 0 (the photo alone) to 1 (the words alone).

    Returns:
        Vectors by space, (1, D) float32 of unit length, for the spaces of the photo.
    """
    words = asked(text, encoder)
    return {
        space: unit_rows((1 - np.float32(weight)) * rows + np.float32(weight) * words[space])
        if space in words
        else rows
        for space, rows in photo.items()
    }
