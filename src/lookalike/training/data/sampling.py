"""Batch samplers: P products with K photos each, balanced or not, or the original system's triplets.

A batch depends on the seed and the step alone, so a resumed run continues with the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from lookalike.errors import ConfigError
from lookalike.training.data.batch import View
from lookalike.training.data.dataset import TrainingPhotos
from lookalike.training.data.shuffling import Shuffles
from lookalike.training.data.triplets import TripletSampler
from lookalike.training.settings.run_settings import TrainingSettings
from lookalike.types import Int64


def make_sampler(
    settings: TrainingSettings, photos: TrainingPhotos, *, steps: int, start: int, seed: int
) -> Sampler[list[View]]:
    """Make the sampler of a stage; it yields whole batches, of which each process takes its shard.

    Args:
        settings: Settings of the run.
        photos: Training photos.
        steps: Batches in the stage.
        start: First batch to yield.
        seed: Seed of the stage.

    Raises:
        ConfigError: The photos do not suffice for the batches.
    """
    shares = [data.share for data in settings.data]
    if settings.sampler.name == "triplets":
        return TripletSampler(photos, settings.sampler, shares=shares, steps=steps, start=start, seed=seed)
    balance = photos.field(settings.sampler.balance) if settings.sampler.name == "balanced" else None
    return ProductSampler(
        photos.products,
        photos.origin,
        counts=products_by_share(shares, settings.products),
        photos=settings.photos,
        steps=steps,
        start=start,
        seed=seed,
        balance=balance,
    )


def steps_in_epoch(settings: TrainingSettings, photos: TrainingPhotos) -> float:
    """Return the number of batches in an epoch.

    Drawn triplets do not count: with them, an epoch is one pass over the photos for the class heads.
    """
    if settings.sampler.name == "triplets" and settings.sampler.classified:
        classified = sum(len(split.items) for split in photos.splits if split.settings.heads or split.settings.tags)
        return (settings.epoch_photos or classified) / settings.sampler.classified
    batch = settings.products * settings.photos if settings.sampler.name != "triplets" else settings.sampler.triplets
    return (settings.epoch_photos or len(photos)) / batch


def products_by_share(shares: Sequence[float], products: int) -> list[int]:
    """Divide the products of a batch among catalogues by their shares, largest remainders first, at least one each.

    Raises:
        ConfigError: A share is negative, or there are more catalogues than products.
    """
    if min(shares) < 0 or sum(shares) == 0 or len(shares) > products:
        raise ConfigError(f"{products} products cannot be divided among catalogues by the shares {list(shares)}")
    exact = np.asarray(shares, dtype=np.float64) / sum(shares) * products
    counts = np.maximum(np.floor(exact), 1).astype(int)
    for place in np.argsort(np.floor(exact) - exact, kind="stable"):
        if counts.sum() >= products:
            break
        counts[place] += 1
    return [int(count) for count in counts]


class ProductSampler(Sampler[list[View]]):
    """Sampler of batches with P products and K photos of each.

    Args:
        products: (N,) int64, the product of each photo.
        origin: (N,) int64, the catalogue of each photo.
        counts: For each catalogue, how many of its products are in a batch.
        photos: K; the photos of a product with fewer are repeated, each augmented differently.
        steps: Batches in the stage.
        start: First batch to yield.
        seed: Seed of the stage.
        balance: Value of each photo; within a catalogue all values are drawn equally often (the value of a product is
            that of its first photo), and a value with few products repeats them. None draws all products equally.
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
        balance: Sequence[str | None] | None = None,
    ) -> None:
        order = np.argsort(products, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(products[order])) + 1)
        self.classes: list[list[list[Int64]]] = []
        for place in range(len(counts)):
            own = [group for group in groups if origin[group[0]] == place]
            self.classes.append(_by_value(own, balance) if balance is not None else [own])
        self.shuffles = Shuffles(seed)
        self.counts, self.photos, self.steps, self.start, self.seed = list(counts), photos, steps, start, seed

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[View]]:
        for step in range(self.start, self.steps):
            random = np.random.default_rng((self.seed, step))
            batch: list[View] = []
            for place, count in enumerate(self.counts):
                for number in range(step * count, (step + 1) * count):
                    chosen = random.permutation(self._product(place, number))[: self.photos]
                    views = np.resize(chosen, self.photos)
                    batch.extend(View(int(photo), int(random.integers(2**62))) for photo in views)
            yield batch

    def _product(self, place: int, number: int) -> Int64:
        """Return the photos of a catalogue's `number`-th product: classes take turns, products are shuffled."""
        classes = self.classes[place]
        turn = self.shuffles.at(number, size=len(classes), key=(place,))
        products = classes[turn]
        return products[self.shuffles.at(number // len(classes), size=len(products), key=(place, turn))]


def _by_value(groups: Sequence[Int64], values: Sequence[str | None]) -> list[list[Int64]]:
    """Group products by the value of their first photo; products without a value form one group."""
    classes: dict[str | None, list[Int64]] = {}
    for group in groups:
        classes.setdefault(values[group[0]], []).append(group)
    return list(classes.values())
