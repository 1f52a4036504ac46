"""Batch samplers: P products, or other groups, with K photos each, balanced or not, or the original system's triplets.

A batch depends on the seed and the step alone, so a resumed run continues with the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from lookalike.errors import ConfigError
from lookalike.training.data.batch import UNKNOWN, View
from lookalike.training.data.dataset import TrainingPhotos
from lookalike.training.data.shuffling import Shuffles
from lookalike.training.data.triplets import TripletSampler
from lookalike.training.settings.run_settings import TrainingSettings
from lookalike.types import Bool, Int64


def make_sampler(
    settings: TrainingSettings,
    photos: TrainingPhotos,
    *,
    steps: int,
    start: int,
    seed: int,
    neighbours: Int64 | None = None,
) -> Sampler[list[View]]:
    """Make the sampler of a stage; it yields whole batches, of which each process takes its shard.

    Args:
        settings: Settings of the run.
        photos: Training photos.
        steps: Batches in the stage.
        start: First batch to yield.
        seed: Seed of the stage.
        neighbours: (G, H) int64, hard negatives of each group, -1 for none; None draws groups without them.

    Raises:
        ConfigError: The photos do not suffice for the batches.
    """
    shares = [data.share for data in settings.data]
    if settings.sampler.name == "triplets":
        return TripletSampler(photos, settings.sampler, shares=shares, steps=steps, start=start, seed=seed)
    balance = photos.field(settings.sampler.balance) if settings.sampler.name == "balanced" else None
    grouping = group_photos(settings, photos)
    return GroupSampler(
        grouping.groups,
        photos.origin,
        counts=grouping.counts,
        photos=grouping.photos,
        steps=steps,
        start=start,
        seed=seed,
        balance=balance,
        neighbours=neighbours,
    )


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups of photos that a batch is made of.

    Attributes:
        what: What a group is, for messages.
        groups: (N,) int64, the group of each photo; a group is of one catalogue.
        counts: For each catalogue, how many of its groups are in a batch.
        photos: Photos of each group in a batch.
        compared: (N,) bool, photos that the metric losses compare.
    """

    what: str
    groups: Int64
    counts: Sequence[int]
    photos: int
    compared: Bool


def group_photos(settings: TrainingSettings, photos: TrainingPhotos) -> Grouping:
    """Choose what the samplers `products` and `balanced` draw, so that a batch shows as many photos as it can.

    Products are drawn if a metric loss compares them: a product with few photos is then shown changed several times. If
    metric losses compare other labels only, the values of the first one's label are drawn (products where it is
    unknown), and different photos of each; single photos if that is one, without metric losses, or for `balanced`.
    """
    batch, labels = settings.products, [loss.labels for loss in settings.loss]
    shares = [data.share for data in settings.data]
    if "product" in labels:
        compared = photos.products < photos.metric_products
        return Grouping("products", photos.products, products_by_share(shares, batch), settings.photos, compared)
    if not labels or settings.photos == 1 or settings.sampler.name == "balanced":
        groups = np.arange(len(photos), dtype=np.int64)
        counts = products_by_share(shares, batch * settings.photos)
        return Grouping("photos", groups, counts, 1, np.full(len(photos), bool(labels)))
    numbers = photos.labels[labels[0]]
    values = np.stack([photos.origin, np.where(numbers == UNKNOWN, -1 - photos.products, numbers)], axis=1)
    groups = np.unique(values, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    counts = products_by_share(shares, batch)
    return Grouping(f"values of {labels[0]!r}", groups, counts, settings.photos, numbers != UNKNOWN)


def check_batch(settings: TrainingSettings, photos: TrainingPhotos) -> None:
    """Check that the catalogues suffice for a batch in which nothing comes twice.

    Raises:
        ConfigError: A batch has more products of a catalogue than there are.
    """
    if settings.sampler.name == "triplets":
        return
    grouping = group_photos(settings, photos)
    for place, (count, split) in enumerate(zip(grouping.counts, photos.splits, strict=True)):
        there = len(np.unique(grouping.groups[photos.origin == place]))
        if count > there:
            share = ", or its `share`" if len(photos.splits) > 1 else ""
            raise ConfigError(
                f"products = {settings.products}, photos = {settings.photos}: a batch has {count} {grouping.what} of "
                f"{split.settings.source}, whose training split has {there}; lower `products`{share}"
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


class GroupSampler(Sampler[list[View]]):
    """Sampler of batches with P groups, such as products, and K photos of each.

    Args:
        groups: (N,) int64, the group of each photo.
        origin: (N,) int64, the catalogue of each photo.
        counts: For each catalogue, how many of its groups are in a batch.
        photos: K; the photos of a group with fewer are repeated, each augmented differently.
        steps: Batches in the stage.
        start: First batch to yield.
        seed: Seed of the stage.
        balance: Value of each photo; within a catalogue all values are drawn equally often (the value of a group is
            that of its first photo), and a value with few groups repeats them. None draws all groups equally, and none
            twice in a batch.
        neighbours: (G, H) int64, hard negatives of each group, -1 for none; without `balance`. A batch then has groups
            in turn with their hard negatives, none twice, and where those are too few, others by chance.
    """

    def __init__(
        self,
        groups: Int64,
        origin: Int64,
        *,
        counts: Sequence[int],
        photos: int,
        steps: int,
        start: int,
        seed: int,
        balance: Sequence[str | None] | None = None,
        neighbours: Int64 | None = None,
    ) -> None:
        order = np.argsort(groups, kind="stable")
        members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
        self.members, self.neighbours = members, neighbours
        self.numbers = [
            np.flatnonzero([origin[group[0]] == place for group in members]) for place in range(len(counts))
        ]
        self.classes: list[list[list[Int64]]] = []
        for place in range(len(counts)):
            own = [group for group in members if origin[group[0]] == place]
            self.classes.append(_by_value(own, balance) if balance is not None else [own])
        self.shuffles, self.is_balanced = Shuffles(seed), balance is not None
        self.counts, self.photos, self.steps, self.start, self.seed = list(counts), photos, steps, start, seed

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[View]]:
        for step in range(self.start, self.steps):
            random = np.random.default_rng((self.seed, step))
            batch: list[View] = []
            for place in range(len(self.counts)):
                for group in self._groups(place, step):
                    chosen = random.permutation(group)[: self.photos]
                    views = np.resize(chosen, self.photos)
                    batch.extend(View(int(photo), int(random.integers(2**62))) for photo in views)
            yield batch

    def _groups(self, place: int, step: int) -> Iterator[Int64]:
        """Yield the photos of each group of a catalogue in a batch."""
        count = self.counts[place]
        if self.neighbours is None:
            yield from (self._group(place, number) for number in range(step * count, (step + 1) * count))
        else:
            yield from (self.members[number] for number in self._confusable(place, step, self.neighbours))

    def _confusable(self, place: int, step: int, neighbours: Int64) -> list[int]:
        """Return the numbers of a catalogue's groups in a batch: groups in turn, each with its hard negatives."""
        numbers, count = self.numbers[place], self.counts[place]
        turns = -(-count // (neighbours.shape[1] + 1))
        together = min(turns, len(numbers))
        chosen: dict[int, None] = {}
        for number in range(step * turns, (step + 1) * turns):
            turn = numbers[self.shuffles.at(number, size=len(numbers), key=(place,), together=together)]
            near = neighbours[turn]
            chosen |= dict.fromkeys([int(turn), *near[near >= 0].tolist()])
        if len(chosen) < count:
            others = np.random.default_rng((self.shuffles.seed, place, step)).permutation(numbers)
            chosen |= dict.fromkeys(others.tolist())
        return list(chosen)[:count]

    def _group(self, place: int, number: int) -> Int64:
        """Return the photos of a catalogue's `number`-th group: classes take turns, groups are shuffled."""
        classes = self.classes[place]
        turn = self.shuffles.at(number, size=len(classes), key=(place,))
        groups = classes[turn]
        together = 1 if self.is_balanced else min(self.counts[place], len(groups))
        chosen = self.shuffles.at(number // len(classes), size=len(groups), key=(place, turn), together=together)
        return groups[chosen]


def _by_value(groups: Sequence[Int64], values: Sequence[str | None]) -> list[list[Int64]]:
    """Divide groups by the value of their first photo; those without a value are one class."""
    classes: dict[str | None, list[Int64]] = {}
    for group in groups:
        classes.setdefault(values[group[0]], []).append(group)
    return list(classes.values())
