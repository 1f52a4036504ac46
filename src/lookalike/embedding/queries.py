"""Embedding of query photos."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from lookalike.embedding.protocol import Embedder, Embeddings, with_kind
from lookalike.images import Limits, Source, one_photo, open_image
from lookalike.types import Box


def embed_queries(
    embedder: Embedder, photos: Sequence[Source], *, box: Box | None, kind: str | None, limits: Limits
) -> tuple[Embeddings, float, float]:
    """Embed Q photos; one is decoded at a time, and only its prepared arrays are kept.

    Args:
        embedder: Embeds the photos.
        photos: Q photos.
        box: Part of each photo to embed; None is the whole photo.
        kind: Kind of the garment in that part; None if it is unknown.
        limits: Limits checked before decoding.

    Returns:
        Vectors and labels of the photos, seconds of decoding, and seconds of embedding.

    Raises:
        PhotoError: A photo cannot be read.
    """
    prepared, decoding, started = [], 0.0, perf_counter()
    for photo in photos:
        began = perf_counter()
        with one_photo():
            picture = open_image(photo, at_least=embedder.wanted_size, box=box, limits=limits)
            decoding += perf_counter() - began
            prepared.append(with_kind(embedder.prepare(picture), kind))
            del picture  # freed before the next photo is opened
    embedded = embedder.embed_prepared(prepared)
    return embedded, decoding, perf_counter() - started - decoding
