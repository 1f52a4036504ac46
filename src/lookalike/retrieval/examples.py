"""Query examples: photos and items to look like, and to look less like."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lookalike.embedding.protocol import Embeddings
from lookalike.errors import UsageError
from lookalike.spaces import unit_rows
from lookalike.types import Float32

if TYPE_CHECKING:
    from lookalike.gallery.request import SearchRequest
    from lookalike.images import Source

UNLIKE = 0.5
"""Share of the mean of the counter-examples that is subtracted from the mean of the examples."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Photos, and ids of items, to look like and to look less like."""

    photos: Sequence[Source]
    items: Sequence[str]
    unlike_photos: Sequence[Source]
    unlike_items: Sequence[str]

    @classmethod
    def of(
        cls,
        photo: Source | Sequence[Source] | None,
        item: str | Sequence[str] | None,
        unlike: Source | Sequence[Source] | None,
        unlike_item: str | Sequence[str] | None,
        *,
        text: str | None = None,
    ) -> Examples:
        """Make examples of photos and items; each argument is one, several, or None.

        Args:
            photo: Photos to look like.
            item: Ids of items to look like.
            unlike: Photos to look less like.
            unlike_item: Ids of items to look less like.
            text: Words of the query, which can stand alone.

        Raises:
            UsageError: There is nothing to look like and no text, or an id is not a text.
        """
        photos, items = _photos(photo), _ids(item, "item")
        if not photos and not items:
            if text is None:
                raise UsageError("give a photo, the id of an item, or words as text")
            if _photos(unlike) or _ids(unlike_item, "unlike_item"):
                raise UsageError(
                    "what is to look less like goes with a photo or an item; leave it out with words alone"
                )
        return cls(photos, items, _photos(unlike), _ids(unlike_item, "unlike_item"))

    @property
    def none(self) -> bool:
        """Whether there is neither a photo nor an item: the query is words alone."""
        return not self.photos and not self.items

    @property
    def several(self) -> bool:
        """Whether there is more than one photo or item."""
        return len(self.photos) + len(self.ids) + len(self.unlike_photos) > 1

    @property
    def ids(self) -> list[str]:
        """Ids of all example items, which are left out of the answer."""
        return [*self.items, *self.unlike_items]

    def check(self, request: SearchRequest) -> None:
        """Check that a request fits the examples.

        Raises:
            UsageError: A box or a garment without the one photo that it belongs to, metrics with several examples, or
                a weight of words without any.
        """
        for part, name in ((request.box, "box"), (request.garment, "garment")):
            self._check_part(part, name)
        if request.metrics and self.several:
            raise UsageError("metrics compare with one photo or item; with several, leave the metrics out")
        if request.text_weight is not None and self.none:
            raise UsageError("text_weight is that of words beside a photo or an item; leave it out with words alone")

    def _check_part(self, part: object, name: str) -> None:
        if part is not None and not self.photos:
            raise UsageError(
                f"a {name} belongs to a photo; an item is searched by its stored vectors, so leave the {name} out"
            )
        if part is not None and len(self.photos) + len(self.unlike_photos) > 1:
            raise UsageError(f"a {name} belongs to one photo; with several, crop them first")

    def embedded(
        self,
        embed: Callable[[Sequence[Source]], Embeddings],
        stored: Callable[[str], Mapping[str, Float32]],
    ) -> Embeddings:
        """Embedding of the query: (1, D) float32 by space, and the labels of a single photo; empty without examples.

        Args:
            embed: Embeds B photos.
            stored: Stored vectors of an item: (1, D) float32 by space.
        """
        if self.none:
            return Embeddings({})
        if not self.several:
            return embed(self.photos) if self.photos else Embeddings(dict(stored(self.items[0])))
        like, unlike = [stored(item) for item in self.items], [stored(item) for item in self.unlike_items]
        photos = [*self.photos, *self.unlike_photos]
        if photos:
            rows = embed(photos).vectors
            like.append({name: part[: len(self.photos)] for name, part in rows.items()})
            unlike.append({name: part[len(self.photos) :] for name, part in rows.items()})
        names = [name for name in like[0] if all(name in part for part in (*like, *unlike))]
        return Embeddings({name: blend(gathered(like, name), gathered(unlike, name)) for name in names})

    def names(self, name_of: Callable[[Source], str]) -> dict[str, list[str]]:
        """JSON form of all examples, for answers."""
        return {
            "photos": [name_of(photo) for photo in self.photos],
            "items": [*self.items],
            "unlike_photos": [name_of(photo) for photo in self.unlike_photos],
            "unlike_items": [*self.unlike_items],
        }


def _photos(given: Source | Sequence[Source] | None) -> list[Source]:
    """List of photos; bytes are one photo, and so is a path."""
    if isinstance(given, Sequence) and not isinstance(given, bytes | bytearray | memoryview | str):
        return list(given)
    return [] if given is None else [given]


def _ids(given: str | Sequence[str] | None, name: str) -> list[str]:
    """List of ids.

    Raises:
        UsageError: An id is not a text.
    """
    if given is None:
        return []
    ids = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    if not all(isinstance(one, str) for one in ids):
        raise UsageError(f"{name} must be the id of an item, a str, or a list of ids, got {given!r:.200}")
    return ids


def gathered(parts: Sequence[Mapping[str, Float32]], name: str) -> Float32:
    """All vectors of a space as unit vectors, (B, D); (0, 0) for none."""
    rows = [part[name] for part in parts]
    return unit_rows(np.concatenate(rows)) if rows else np.empty((0, 0), dtype=np.float32)


def blend(like: Float32, unlike: Float32) -> Float32:
    """Mean direction of examples, minus a share of that of counter-examples.

    Args:
        like: (B, D) float32 unit vectors, at least one.
        unlike: (C, D) float32 unit vectors, or none.

    Returns:
        (1, D) float32, a unit vector, or zeros if the difference is zero.

    Source: Rocchio 1971, Relevance feedback in information retrieval; unit rows instead of term weights.
    """
    direction = like.mean(axis=0, keepdims=True)
    if len(unlike):
        direction = direction - np.float32(UNLIKE) * unlike.mean(axis=0, keepdims=True)
    return unit_rows(direction.astype(np.float32))


def name_of(photo: Source) -> str:
    """Name of a photo in answers: its path or URL, the name of an open file, or `photo`."""
    if isinstance(photo, str | os.PathLike):
        return os.fspath(photo)
    from lookalike.images import source  # not at import: a search by item opens no photo

    return source.name_of(photo)
