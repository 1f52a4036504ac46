"""The dev measure, which selects the best checkpoint: graded retrieval among the dev photos.

Memory grows with the number of photos, not with queries times gallery: similarities are computed for a few queries at
a time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from lookalike.errors import PhotoError
from lookalike.evaluation.metrics import (
    graded_relevance,
    hit_rate_at_k,
    mean_of,
    ndcg_at_k,
    order_by_score,
    precision_at_k,
)
from lookalike.images import open_image
from lookalike.models.network import Network
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.data.dataset import Split
from lookalike.types import Bool, Float32, Int64, Item

Embed = Callable[[Sequence[Image.Image]], Float32]
"""Embeds B RGB photos as (B, D) float32 unit vectors."""

SkipItem = Callable[[Item, str], None]
"""Called with an unreadable photo and the reason."""

BATCH = 64
CELLS = 2**18
"""Similarities per block of queries: about 60 MB with all intermediate arrays."""
ANSWERS = 10


@dataclass(frozen=True, slots=True)
class DevRanking:
    """Leave-one-out rankings of a dev split.

    Attributes:
        items: N items.
        asked: (Q,) int64 places of the queries in `items`.
        answers: (Q, K) int64 places of the answers, best first, K <= 10.
        right: (Q, K) bool, whether the answer agrees in the leading grade; False past the last allowed answer.
        ndcg: (Q,) float64 NDCG@10 of each query, in [0, 1].
    """

    items: Sequence[Item]
    asked: Int64
    answers: Int64
    right: Bool
    ndcg: np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class DevMeasure:
    """Result of a dev measure.

    Attributes:
        figures: Figures in [0, 1] by `catalogue number/name`, and their mean as `mean`; empty without graded splits.
        ranked: Rankings of the first graded split, for the hits-and-misses grid; None without one.
    """

    figures: dict[str, float] = field(default_factory=dict)
    ranked: DevRanking | None = None


def measure(
    embed: Embed,
    splits: Sequence[Split],
    *,
    changes: Mapping[str, Augmentation],
    at_least: int,
    skip: SkipItem = lambda item, reason: None,
) -> DevMeasure:
    """Measure retrieval on the dev splits.

    Every dev photo queries the other photos of its catalogue: NDCG@10 with the grades of the settings, and
    precision@1 of the leading grade. For each augmentation (such as `pasted`), augmented photos query the original
    ones: hit rate@1.

    Args:
        embed: Model to measure.
        splits: Dev splits; those without grades are left out.
        changes: Augmentations by name.
        at_least: Smallest side in pixels that photos may be decoded at.
        skip: Called for each unreadable photo, which is left out.
    """
    figures: dict[str, float] = {}
    shown: DevRanking | None = None
    for place, split in enumerate(splits):
        if not split.settings.grades:
            continue
        kept: list[Item] = []
        rows = _embedded(embed, _readable(split.items, at_least=at_least, kept=kept, skip=skip))
        if len(kept) < 2:
            continue
        ranked = rank(Split(split.settings, kept), rows)
        shown = shown or ranked
        figures[f"{place}/ndcg@10"] = mean_of(ranked.ndcg)
        figures[f"{place}/precision@1"] = mean_of(precision_at_k(ranked.right, 1))
        for name, change in changes.items():
            found: list[int] = []
            changed = _embedded(embed, _changed(kept, change, at_least=at_least, found=found))
            if len(found) >= 2:
                hits = (_nearest(changed, rows) == np.asarray(found))[:, None]
                figures[f"{place}/{name} hit_rate@1"] = mean_of(hit_rate_at_k(hits, 1))
    if figures:
        figures["mean"] = float(np.mean(list(figures.values())))
    return DevMeasure(figures, shown)


def rank(split: Split, rows: Float32) -> DevRanking:
    """Rank the photos of a split for each other, leave-one-out, by graded relevance.

    Args:
        split: Split with N >= 1 items.
        rows: (N, D) float32 unit vectors.
    """
    labels: list[Int64] = []
    for grade in split.settings.grades:
        values = sorted({value for value in split.field(grade) if value})
        labels.append(split.numbers(grade, values))
    names = [
        value or f"id:{item.id}" for value, item in zip(split.field(split.settings.apart), split.items, strict=True)
    ]
    groups: Int64 = np.unique(names, return_inverse=True)[1]
    asked: Int64 = np.flatnonzero(labels[0] >= 0)
    answers, right, ndcg = [], [], []
    for some in _few_at_a_time(asked, gallery=len(rows)):
        relevance = graded_relevance([column[some] for column in labels], labels)
        apart = groups[some][:, None] == groups[None, :]
        order, allowed = order_by_score(rows[some] @ rows.T, apart, ANSWERS)
        found = np.where(allowed, np.take_along_axis(relevance, order, axis=1), 0)
        ndcg.append(ndcg_at_k(found, _highest(np.where(apart, 0, relevance), ANSWERS), ANSWERS))
        answers.append(order.copy())  # a view would keep the whole order in memory
        right.append(found >= 1)
    if not len(asked):
        none = np.zeros((0, ANSWERS), dtype=np.int64)
        return DevRanking(split.items, asked, none, none.astype(bool), np.zeros(0))
    return DevRanking(split.items, asked, np.concatenate(answers), np.concatenate(right), np.concatenate(ndcg))


def embed_with(network: Network, preprocessing: Preprocessing) -> Embed:
    """Return a function that embeds photos with a network in eval mode."""

    @torch.no_grad()
    def embed(photos: Sequence[Image.Image]) -> Float32:
        device = next(network.parameters()).device
        pixels = torch.from_numpy(np.stack([preprocessing(photo) for photo in photos]))
        rows = network(pixels.to(device, memory_format=torch.channels_last))
        unit: Float32 = functional.normalize(rows, dim=1).cpu().numpy()  # search compares directions too
        return unit

    return embed


def _few_at_a_time(queries: Int64, *, gallery: int) -> Iterator[Int64]:
    each = max(1, CELLS // max(1, gallery))
    for start in range(0, len(queries), each):
        yield queries[start : start + each]


def _highest(grades: Int64, k: int) -> Int64:
    """Return the k highest grades of each row, descending: (Q, min(k, N))."""
    k = min(k, grades.shape[1])
    highest: Int64 = -np.sort(np.partition(-grades, k - 1, axis=1)[:, :k], axis=1)
    return highest


def _nearest(queries: Float32, rows: Float32) -> Int64:
    """Return the place of the nearest row of each query, (Q,)."""
    places = np.arange(len(queries))
    return np.concatenate(
        [(queries[some] @ rows.T).argmax(axis=1) for some in _few_at_a_time(places, gallery=len(rows))]
    )


def _readable(items: Sequence[Item], *, at_least: int, kept: list[Item], skip: SkipItem) -> Iterator[Image.Image]:
    """Yield the readable photos, and append their items to `kept`."""
    for item in items:
        try:
            photo = open_image(item, at_least=at_least, box=item.box)
        except PhotoError as error:
            skip(item, str(error))
        else:
            kept.append(item)
            yield photo


def _changed(items: Sequence[Item], change: Augmentation, *, at_least: int, found: list[int]) -> Iterator[Image.Image]:
    """Yield augmented photos, deterministically, and append the places of those that could be augmented to `found`."""
    for place, item in enumerate(items):
        photo = open_image(item, at_least=at_least, box=item.box)
        seed = zlib.crc32(item.id.encode())
        random = np.random.default_rng(seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
            pasted = change.settings.paste > 0
            changed = change.on_background(photo, random=random) if pasted else change(photo, random=random)
        if changed is not None:
            found.append(place)
            yield changed


def _embedded(embed: Embed, photos: Iterator[Image.Image]) -> Float32:
    rows = [embed(batch) for batch in iter(lambda: list(islice(photos, BATCH)), [])]
    return np.concatenate(rows) if rows else np.zeros((0, 1), dtype=np.float32)
