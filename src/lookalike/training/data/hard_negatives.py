"""Hard negatives: for each product those that a network confuses with it, from embeddings of the training photos.

Source: Liao and Shao 2022, Graph Sampling Based Deep Metric Learning for Generalizable Person Re-Identification:
before each epoch a nearest-neighbour graph of the classes is made of the present embeddings, and a batch
is a class with its nearest neighbours. Here a batch may have several such groups, and products that are too similar are
left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.training.data.dataset import TrainingPhotos
from lookalike.training.data.sampling import Grouping
from lookalike.training.settings.objective_settings import HardNegativeSettings
from lookalike.types import Bool, Float32, Int64

CELLS: Final = 2**24
"""Similarities of photos that are computed at a time."""

SPARE: Final = 16
"""Neighbours that are looked at beyond those that are wanted, since some may be too similar to each other."""


@dataclass(frozen=True, slots=True)
class HardNegatives:
    """Hard negatives of G groups, such as products.

    Attributes:
        neighbours: (G, H) int64, groups that are the most similar to each group, the most similar first; -1 for none.
        similarity: Mean similarity of a group and one of its hard negatives; 0 without any.
        overall: Mean similarity of all pairs of groups that were compared; 0 without any.
        groups: Number of groups with hard negatives.
        compared: Number of groups that were compared.
        false_negatives: Number of pairs of groups that are too similar.
        what: What a group is, for messages.
    """

    neighbours: Int64
    similarity: float
    overall: float
    groups: int
    compared: int
    false_negatives: int
    what: str = "products"


@dataclass(frozen=True, slots=True)
class BankPhotos:
    """Photos that may be compared.

    Attributes:
        groups: (N,) int64, the group of each photo, from 0.
        origin: (N,) int64, the catalogue of each photo; a hard negative is of the same one.
        compared: (N,) bool, photos that the metric losses compare.
        apart: Values of each group, by its number; groups with a value in common are no negatives of each other.
        what: What a group is, for messages.
    """

    groups: Int64
    origin: Int64
    compared: Bool
    apart: Sequence[frozenset[int]]
    what: str = "products"

    @classmethod
    def of(cls, photos: TrainingPhotos, grouping: Grouping) -> BankPhotos:
        """Take the photos of a run; groups are apart by their products, and products by the attributes in `apart`."""
        values: list[set[int]] = [set() for _ in range(int(grouping.groups.max()) + 1)]
        names: dict[tuple[object, ...], int] = {}
        for group, product in zip(grouping.groups.tolist(), photos.products.tolist(), strict=True):
            values[group].add(names.setdefault(("product", product), len(names)))
        if grouping.what == "products":
            start = 0
            for place, split in enumerate(photos.splits):
                for name in split.settings.apart:
                    for group, value in zip(grouping.groups[start:].tolist(), split.field(name), strict=False):
                        if value is not None:
                            values[group].add(names.setdefault((place, name, value), len(names)))
                start += len(split.items)
        apart = [frozenset(of_group) for of_group in values]
        return cls(grouping.groups, photos.origin, grouping.compared, apart, grouping.what)

    def drawn(self, *, of_each: int, most: int, seed: Sequence[int]) -> Int64:
        """Draw photos: one of each group, then a second of each, and so on.

        Args:
            of_each: Photos of each group, at most.
            most: Photos in all, at most.
            seed: Seed of the choice.

        Returns:
            Places of the photos, in order.
        """
        order = np.random.default_rng(seed).permutation(np.flatnonzero(self.compared))
        by_group = order[np.argsort(self.groups[order], kind="stable")]
        groups = self.groups[by_group]
        ranks = np.empty(len(self.groups), dtype=np.int64)
        ranks[by_group] = np.arange(len(by_group)) - np.searchsorted(groups, groups)
        in_turn = order[np.argsort(ranks[order], kind="stable")]
        places: Int64 = np.sort(in_turn[ranks[in_turn] < of_each][:most])
        return places

    def mine(self, places: Int64, rows: Float32, *, settings: HardNegativeSettings) -> HardNegatives:
        """Find the hard negatives of each group.

        The similarity of two groups is the highest cosine of their photos. A group's negatives are those of the highest
        similarity, equal ones by number, without those above `false_negative_above`, of the group or of one of its
        negatives taken before, and without those with a value of `apart` in common.

        Args:
            places: Places of the M photos that are compared.
            rows: (M, D) float32 unit vectors; nan for a photo that cannot be read.
            settings: Size of the groups, and the limit.
        """
        neighbours = np.full((len(self.apart), settings.group - 1), -1, dtype=np.int64)
        sums = _Sums()
        readable = ~np.isnan(rows).any(axis=1)
        places, rows = places[readable], rows[readable]
        for catalogue in np.unique(self.origin[places]):
            own = np.flatnonzero(self.origin[places] == catalogue)
            own = own[np.argsort(self.groups[places[own]], kind="stable")]
            graph = _Graph(rows[own], self.groups[places[own]], self.apart, settings.false_negative_above)
            for group, similarities in graph.rows_of_groups(sums):
                found = graph.nearest(group, similarities, neighbours.shape[1])
                neighbours[graph.numbers[group], : len(found)] = graph.numbers[found]
                sums.mined += float(similarities[found].sum(dtype=np.float64))
        taken = neighbours >= 0
        return HardNegatives(
            neighbours,
            similarity=sums.mined / max(1, int(taken.sum())),
            overall=sums.similarity / max(1, sums.pairs),
            groups=int(taken.any(axis=1).sum()),
            compared=sums.groups,
            false_negatives=sums.false_negatives // 2,
            what=self.what,
        )


@dataclass
class _Sums:
    """Sums over ordered pairs of different groups, and over those that are mined."""

    similarity: float = 0.0
    pairs: int = 0
    mined: float = 0.0
    groups: int = 0
    false_negatives: int = 0


class _Graph:
    """The groups of one catalogue with the embeddings of their photos.

    Args:
        rows: (M, D) float32 unit vectors, ordered by group.
        groups: (M,) int64, the group of each.
        apart: Values of all groups.
        limit: Similarity above which two groups are no negatives of each other.
    """

    def __init__(self, rows: Float32, groups: Int64, apart: Sequence[frozenset[int]], limit: float) -> None:
        self.rows, self.limit = rows, limit
        self.numbers, starts = np.unique(groups, return_index=True)
        self.bounds = np.append(starts, len(rows))
        self.values = [apart[number] for number in self.numbers]
        self.with_value: dict[int, list[int]] = {}
        for group, values in enumerate(self.values):
            for value in values:
                self.with_value.setdefault(value, []).append(group)

    def rows_of_groups(self, sums: _Sums) -> Iterator[tuple[int, Float32]]:
        """Yield each group with its similarities to all, (G,) float32, -inf to those that are no negatives of it."""
        starts, count = self.bounds[:-1], len(self.numbers)
        sums.groups += count
        for first, last in self._blocks():
            cosines = self.rows[self.bounds[first] : self.bounds[last]] @ self.rows.T
            by_column = np.maximum.reduceat(cosines, starts, axis=1)
            block = np.maximum.reduceat(by_column, starts[first:last] - self.bounds[first], axis=0).clip(max=1.0)
            block[np.arange(last - first), np.arange(first, last)] = -np.inf
            others = block > -np.inf
            sums.similarity += float(block[others].sum(dtype=np.float64))
            sums.pairs += int(others.sum())
            too_similar = block > self.limit
            sums.false_negatives += int(too_similar.sum())
            block[too_similar] = -np.inf
            for group, similarities in enumerate(block, start=first):
                for value in self.values[group]:
                    similarities[self.with_value[value]] = -np.inf
                yield group, similarities

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of groups, with about `CELLS` similarities of photos each."""
        first, each = 0, CELLS // len(self.rows)
        for last in range(1, len(self.numbers) + 1):
            if last == len(self.numbers) or self.bounds[last + 1] - self.bounds[first] > each:
                yield first, last
                first = last

    def nearest(self, group: int, similarities: Float32, wanted: int) -> list[int]:
        """Return the hard negatives of a group, at most as many as wanted."""
        allowed = np.flatnonzero(similarities > -np.inf)
        most = 2 * wanted + SPARE
        if len(allowed) > most:
            least = np.partition(similarities[allowed], -most)[-most]
            allowed = allowed[similarities[allowed] >= least]
        candidates = allowed[np.argsort(-similarities[allowed], kind="stable")][:most]
        if not len(candidates):
            return []
        parts = [self.rows[self.bounds[each] : self.bounds[each + 1]] for each in candidates]
        starts = np.cumsum([0, *map(len, parts[:-1])])
        joined = np.concatenate(parts)
        between = np.maximum.reduceat(np.maximum.reduceat(joined @ joined.T, starts, axis=0), starts, axis=1).clip(
            max=1.0
        )
        taken: list[int] = []
        for place, candidate in enumerate(candidates.tolist()):
            values = self.values[candidate]
            if len(taken) < wanted and not any(
                between[place, other] > self.limit or values & self.values[candidates[other]] for other in taken
            ):
                taken.append(place)
        return [int(candidates[place]) for place in taken]
