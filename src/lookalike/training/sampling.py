"""PK sampling over a mixture of catalogues: P products in a batch, K photos of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from lookalike.training.data import View
from lookalike.types import Int64


def products_by_share(shares: Sequence[float], products: int) -> list[int]:
    """Divide the products of a batch among catalogues by their shares, largest remainders first, at least one each."""
    exact = np.asarray(shares, dtype=np.float64) / sum(shares) * products
    counts = np.maximum(np.floor(exact), 1).astype(int)
    for place in np.argsort(np.floor(exact) - exact, kind="stable"):
        if counts.sum() >= products:
            break
        counts[place] += 1
    return [int(count) for count in counts]


class ProductSampler(Sampler[list[View]]):
    """Yields the batches of a stage; the same seed and step give the same batch, wherever the run is taken up.

    Args:
        products: (N,) int64, the product of each photo.
        origin: (N,) int64, the catalogue of each photo.
        counts: For each catalogue, how many of its products are in a batch.
        photos: K; a product with fewer photos is repeated, to be changed in different ways.
        steps: Batches in the stage.
        start: The first batch to yield.
        seed: Of the stage.
    """

    def __init__(
        self,
        products: Int64,
        origin: Int64,
        *,
        counts: Sequence[int],
        photos: int,
        steps: int,
        start: int,
        seed: int,
    ) -> None:
        order = np.argsort(products, kind="stable")
        cuts = np.flatnonzero(np.diff(products[order])) + 1
        groups = np.split(order, cuts)
        self.groups = [[group for group in groups if origin[group[0]] == place] for place in range(len(counts))]
        self.shuffles: dict[int, tuple[int, Int64]] = {}
        self.counts, self.photos, self.steps, self.start, self.seed = list(counts), photos, steps, start, seed

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[View]]:
        for step in range(self.start, self.steps):
            random = np.random.default_rng((self.seed, step))
            batch: list[View] = []
            for place, (groups, count) in enumerate(zip(self.groups, self.counts, strict=True)):
                for group in self._products(place, groups, first=step * count, count=count):
                    chosen = random.permutation(group)[: self.photos]
                    views = np.resize(chosen, self.photos)
                    batch.extend((int(photo), int(random.integers(2**62))) for photo in views)
            yield batch

    def _products(self, place: int, groups: list[Int64], *, first: int, count: int) -> Iterator[Int64]:
        """Products number `first` to `first + count` of an endless row of shuffles of a catalogue's products."""
        for number in range(first, first + count):
            lap, position = divmod(number, len(groups))
            yield groups[self._shuffled(place, lap, len(groups))[position]]

    def _shuffled(self, place: int, lap: int, size: int) -> Int64:
        """The lap-th shuffle of a catalogue's products; the latest of each catalogue is kept."""
        kept_lap, shuffle = self.shuffles.get(place, (-1, None))
        if shuffle is None or kept_lap != lap:
            shuffle = np.random.default_rng((self.seed, place, lap)).permutation(size)
            self.shuffles[place] = (lap, shuffle)
        return shuffle
