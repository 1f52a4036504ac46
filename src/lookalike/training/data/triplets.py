"""The original system's batches: photos to classify and, beside them, triplets from one of the catalogues.

Source: deep-fashion-retrieval (2018): 32 photos for the cross entropy, and 32 triplets, which come from In-shop with
probability 0.8 (positive: the same item) and else from the attribute set (positive: the same category).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from lookalike.errors import ConfigError
from lookalike.training.data.batch import CLASSIFIED, View, member
from lookalike.training.data.dataset import TrainingPhotos
from lookalike.training.data.shuffling import Shuffles
from lookalike.training.settings.objective_settings import SamplerSettings
from lookalike.types import Int64


@dataclass(frozen=True, slots=True)
class TripletPool:
    """Photos of one catalogue, grouped by class, from which triplets are drawn.

    Attributes:
        photos: (M,) int64 places of the photos of known class, sorted by class.
        first: (M,) int64, start of each photo's class in `photos`.
        size: (M,) int64, size of each photo's class.
        anchors: (A,) int64, places in `photos` of classes with two photos or more.
    """

    photos: Int64
    first: Int64
    size: Int64
    anchors: Int64

    def draw(self, count: int, random: np.random.Generator) -> Int64:
        """Draw triplets, (count, 3) int64: an anchor, another photo of its class, and one of another class."""
        anchor = random.choice(self.anchors, count)
        first, size = self.first[anchor], self.size[anchor]
        # Uniform over the other photos: a random offset from the anchor, modulo its class or modulo all the rest.
        positive = first + (anchor - first + random.integers(1, size)) % size
        negative = (first + size + random.integers(0, len(self.photos) - size)) % len(self.photos)
        drawn: Int64 = self.photos[np.stack([anchor, positive, negative], axis=1)]
        return drawn


class TripletSampler(Sampler[list[View]]):
    """Sampler of batches with photos for the class heads and triplets.

    Args:
        photos: Training photos.
        settings: Numbers of photos and triplets per batch.
        shares: For each catalogue, the probability that a step's triplets come from it, up to a factor.
        steps: Batches in the stage.
        start: First batch to yield.
        seed: Seed of the stage.

    Raises:
        ConfigError: No catalogue has photos for the class heads, or for triplets.
    """

    def __init__(
        self,
        photos: TrainingPhotos,
        settings: SamplerSettings,
        *,
        shares: Sequence[float],
        steps: int,
        start: int,
        seed: int,
    ) -> None:
        self.settings, self.steps, self.start, self.seed = settings, steps, start, seed
        with_heads = [bool(split.settings.heads or split.settings.tags) for split in photos.splits]
        self.classified = np.flatnonzero(np.asarray(with_heads)[photos.origin])
        if settings.classified and not len(self.classified):
            raise ConfigError("the sampler 'triplets' finds no photos to classify: name heads in [[data]]")
        positives = [split.settings.positives for split in photos.splits]
        drawn = [place for place, share in enumerate(shares) if settings.triplets and positives[place] and share]
        if settings.triplets and not drawn:
            raise ConfigError("the sampler 'triplets' finds no catalogue with `positives` and a share above 0")
        self.pools = [_triplet_pool(photos, place) for place in drawn]
        total = sum(shares[place] for place in drawn)
        self.chances = [shares[place] / total for place in drawn]
        self.shuffles = Shuffles(seed)

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[View]]:
        for step in range(self.start, self.steps):
            random = np.random.default_rng((self.seed, step))
            numbers = range(step * self.settings.classified, (step + 1) * self.settings.classified)
            size = len(self.classified)
            batch = [
                View(int(self.classified[self.shuffles.at(number, size=size, key=(0,))]), _seed(random), CLASSIFIED)
                for number in numbers
            ]
            if self.pools:
                pool = self.pools[random.choice(len(self.pools), p=self.chances)]
                triplets = pool.draw(self.settings.triplets, random)
                batch.extend(
                    View(int(place), _seed(random), member(number, part))
                    for number, places in enumerate(triplets)
                    for part, place in enumerate(places)
                )
            yield batch


def _seed(random: np.random.Generator) -> int:
    return int(random.integers(2**62))


def _triplet_pool(photos: TrainingPhotos, place: int) -> TripletPool:
    """Group the photos of one catalogue by the class of positive pairs.

    Raises:
        ConfigError: No class has two photos, or there is only one class.
    """
    split = photos.splits[place]
    name = split.settings.positives
    values = split.field(name)
    begin = int(np.flatnonzero(photos.origin == place)[0])
    known = sorted((value, begin + number) for number, value in enumerate(values) if value)
    _, first, inverse, counts = np.unique(
        [value for value, _ in known], return_index=True, return_inverse=True, return_counts=True
    )
    size = counts[inverse]
    if len(counts) < 2 or counts.max() < 2:
        raise ConfigError(f"{split.settings.source}: triplets need two classes of {name!r}, and two photos of one")
    return TripletPool(np.array([number for _, number in known]), first[inverse], size, np.flatnonzero(size >= 2))
