"""The measure on dev that decides which checkpoint is kept; it judges anything that describes photos."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import torch
from PIL import Image

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
from lookalike.training.augmentation import Augmentation
from lookalike.training.data import Split
from lookalike.types import Float32, Int64, Item

Describe = Callable[[Sequence[Image.Image]], Float32]
"""From B RGB photos to (B, D) float32 unit rows."""

BATCH = 64


def measure(
    describe: Describe, splits: Sequence[Split], *, changes: Mapping[str, Augmentation], at_least: int
) -> dict[str, float]:
    """Measure retrieval on the dev splits.

    Every dev photo asks among the other photos of its catalogue: NDCG@10 with the grades of its settings, and
    precision@1 of the leading grade. Every change (such as `pasted`) asks with changed photos for the unchanged ones.

    Args:
        describe: What is judged.
        splits: The dev splits; those without grades are passed over.
        changes: Augmentations by name.
        at_least: Photos are decoded with both sides at least this many pixels, where they have them.

    Returns:
        Figures in [0, 1] by `catalogue number/name`, and their mean as `mean`.
    """
    figures: dict[str, float] = {}
    for place, split in enumerate(splits):
        if not split.settings.grades or not split.items:
            continue
        photos = (open_image(item.location, at_least=at_least, box=item.box) for item in split.items)
        rows = _described(describe, photos)
        figures.update({f"{place}/{name}": value for name, value in graded(split, rows).items()})
        for name, change in changes.items():
            found: list[int] = []
            changed = _described(describe, _changed(split.items, change, at_least=at_least, found=found))
            if len(found) >= 2:
                nearest = (changed @ rows.T).argmax(axis=1)
                hits = (nearest == np.asarray(found))[:, None]
                figures[f"{place}/{name} hit_rate@1"] = mean_of(hit_rate_at_k(hits, 1))
    figures["mean"] = float(np.mean(list(figures.values()))) if figures else 0.0
    return figures


def graded(split: Split, rows: Float32) -> dict[str, float]:
    """Leave-one-out graded retrieval among the photos of a split.

    Args:
        split: N items.
        rows: (N, D) float32 unit rows.
    """
    labels: list[Int64] = []
    for grade in split.settings.grades:
        values = sorted({value for value in split.field(grade) if value})
        labels.append(split.numbers(grade, values))
    known = np.flatnonzero(labels[0] >= 0)
    relevance = graded_relevance([column[known] for column in labels], labels)
    groups = np.array(
        [value or f"id:{item.id}" for value, item in zip(split.field(split.settings.apart), split.items, strict=True)]
    )
    apart = groups[known][:, None] == groups[None, :]
    order, allowed = order_by_score(rows[known] @ rows.T, apart, 10)
    found = np.where(allowed, np.take_along_axis(relevance, order, axis=1), 0)
    ideal = -np.sort(-np.where(apart, 0, relevance), axis=1)[:, :10]
    return {"ndcg@10": mean_of(ndcg_at_k(found, ideal, 10)), "precision@1": mean_of(precision_at_k(found >= 1, 1))}


def described_by(network: Network, preprocessing: Preprocessing) -> Describe:
    """A network in eval mode as something that describes photos."""

    @torch.no_grad()
    def describe(photos: Sequence[Image.Image]) -> Float32:
        device = next(network.parameters()).device
        pixels = torch.from_numpy(np.stack([preprocessing(photo) for photo in photos]))
        rows: Float32 = network(pixels.to(device, memory_format=torch.channels_last)).cpu().numpy()
        return rows

    return describe


def _changed(items: Sequence[Item], change: Augmentation, *, at_least: int, found: list[int]) -> Iterator[Image.Image]:
    """Changed photos, the same ones every time; notes in `found` the places of those that could be changed."""
    for place, item in enumerate(items):
        photo = open_image(item.location, at_least=at_least, box=item.box)
        seed = zlib.crc32(item.id.encode())
        random = np.random.default_rng(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pasted = change.settings.paste > 0
            changed = change.on_background(photo, random=random) if pasted else change(photo, random=random)
        if changed is not None:
            found.append(place)
            yield changed


def _described(describe: Describe, photos: Iterator[Image.Image]) -> Float32:
    rows = [describe(batch) for batch in iter(lambda: list(islice(photos, BATCH)), [])]
    return np.concatenate(rows) if rows else np.zeros((0, 1), dtype=np.float32)
