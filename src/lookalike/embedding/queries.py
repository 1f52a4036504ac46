"""Embedding the photos that a search is asked with."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from lookalike.embedding.protocol import Embedder
from lookalike.images import Limits, Source, one_photo, open_image
from lookalike.types import Box, Float32


def embed_queries(
    embedder: Embedder, photos: Sequence[Source], *, box: Box | None, limits: Limits
) -> tuple[dict[str, Float32], float, float]:
    """Embed Q photos. One is opened after the other: of each, only what is made ready for the network is kept.

    Args:
        embedder: What describes them.
        photos: Where they are.
        box: The part of each to look at.
        limits: What is refused before decoding.

    Returns:
        (Q, D) float32 unit rows for each space, the seconds that decoding took, and those of the rest.

    Raises:
        PhotoError: One cannot be read.
    """
    prepared, decoding, started = [], 0.0, perf_counter()
    for photo in photos:
        began = perf_counter()
        with one_photo():
            picture = open_image(photo, at_least=embedder.wanted_size, box=box, limits=limits)
            decoding += perf_counter() - began
            prepared.append(embedder.prepare(picture))
            del picture  # before the next one is opened
    rows = embedder.embed_prepared(prepared)
    return rows, decoding, perf_counter() - started - decoding
