"""Labelled photos of catalogues, embedded, with what the heads of the model say of them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from lookalike.catalogue.opening import open_catalogue
from lookalike.embedding.batch_embedding import embed_photos
from lookalike.embedding.photo_tasks import Embedded, PhotoTask, Unreadable
from lookalike.embedding.protocol import Embedder
from lookalike.errors import UsageError
from lookalike.evaluation.evaluator import filtered_items
from lookalike.types import Float32, Item

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of photos embedded and in all."""


@dataclass(frozen=True, slots=True)
class LabelledPhotos:
    """Embedded photos with their kinds.

    Attributes:
        items: N items.
        kinds: N names of kinds.
        vectors: (N, D) float32, unit vectors of the space `deep`.
        labels: (N, C) float32 by head, class probabilities.
        sources: N catalogues that the photos are of.
    """

    items: Sequence[Item]
    kinds: Sequence[str]
    vectors: Float32
    labels: Mapping[str, Float32]
    sources: Sequence[str]

    def of(self, places: Sequence[int]) -> LabelledPhotos:
        """The photos at some places."""
        chosen = np.asarray(places, dtype=np.int64)
        return LabelledPhotos(
            [self.items[place] for place in places],
            [self.kinds[place] for place in places],
            self.vectors[chosen],
            {head: part[chosen] for head, part in self.labels.items()},
            [self.sources[place] for place in places],
        )


def labelled_items(
    sources: Iterable[str],
    *,
    kind: str,
    columns: Mapping[str, str] | None,
    encoding: str | None,
    where: str | None,
    most: int | None = None,
) -> list[tuple[str, Item]]:
    """Read the items of catalogues that have a kind, each with its catalogue.

    Args:
        sources: Catalogues.
        kind: Attribute with the kind.
        columns: Columns of a table by the standard names.
        encoding: Encoding of CSV tables that are not UTF-8.
        where: Filter that items pass.
        most: Largest number of items of each source, evenly spread; None is all.

    Raises:
        CatalogueError: A catalogue cannot be read.
        FilterError: The filter is malformed.
        UsageError: A catalogue has no such items.
    """
    found: list[tuple[str, Item]] = []
    for source in sources:
        items = filtered_items(open_catalogue(source, columns=columns, encoding=encoding), where)
        named = [item for item in items if kind_of(item, kind)]
        if not named:
            raise UsageError(f"{source}: no photo has an attribute {kind!r} with its kind")
        chosen = named if most is None else [named[place] for place in spread(len(named), most)]
        found += [(source, item) for item in chosen]
    return found


def kind_of(item: Item, kind: str) -> str:
    """Kind of an item; empty without one."""
    value = item.attributes.get(kind)
    return value if isinstance(value, str) else ""


def spread(count: int, most: int) -> list[int]:
    """Evenly spread places, at most `most`, of `count`."""
    places: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
    return places


class PhotoEmbedding:
    """Embeds photos of several lists, and collects those that cannot be read.

    Attributes:
        skipped: Photos that cannot be read, with the reasons.
    """

    def __init__(self, embedder: Embedder, *, total: int, progress: Progress | None) -> None:
        """Wrap an embedder.

        Args:
            embedder: Embedder of the photos.
            total: Number of photos of all lists.
            progress: Called at intervals.
        """
        self.skipped: list[str] = []
        self._embedder, self._total, self._progress, self._done = embedder, total, progress, 0

    def embed(self, items: Sequence[tuple[str, Item]], *, kind: str) -> LabelledPhotos:
        """Embed the photos of items that have a kind, each with its catalogue.

        Raises:
            UsageError: None of the photos can be read.
        """
        read: list[Item] = []
        vectors: list[Float32] = []
        labels: defaultdict[str, list[Float32]] = defaultdict(list)
        sources = {id(item): source for source, item in items}
        work = (PhotoTask(item) for _, item in items)
        for outcome in embed_photos(work, defaultdict(float), embedder=self._embedder):
            if isinstance(outcome, Unreadable):
                self.skipped.append(f"{outcome.item.photo}: {outcome.error.reason}")
                self._count(1)
            elif isinstance(outcome, Embedded):
                read += outcome.items
                vectors.append(outcome.vectors["deep"])
                for head, part in outcome.labels.items():
                    labels[head].append(part)
                self._count(len(outcome.items))
        if not read:
            raise UsageError(f"none of the {len(items):,} photos can be read; {self.skipped[0]}")
        kinds = [kind_of(item, kind) for item in read]
        joined = {head: np.concatenate(parts) for head, parts in labels.items()}
        return LabelledPhotos(read, kinds, np.concatenate(vectors), joined, [sources[id(item)] for item in read])

    def _count(self, done: int) -> None:
        self._done += done
        if self._progress is not None:
            self._progress(self._done, self._total)


def paths(sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[str]:
    """One source, or several, as texts."""
    listed = [sources] if isinstance(sources, str | os.PathLike) else sources
    return [os.fspath(source) for source in listed]
