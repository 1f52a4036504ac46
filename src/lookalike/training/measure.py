"""The measure on dev that decides which checkpoint is kept."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image

from lookalike.evaluation.metrics import (
    graded_relevance,
    hit_rate_at_k,
    ndcg_at_k,
    order_by_score,
    precision_at_k,
)
from lookalike.images import open_image
from lookalike.models.network import Network
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.augmentation import Augmentation
from lookalike.training.data import Split
from lookalike.types import Float32, Item

BATCH = 64


def measure(
    network: Network, splits: Sequence[Split], *, preprocessing: Preprocessing, changes: Mapping[str, Augmentation]
) -> dict[str, float]:
    """Measure retrieval on the dev splits.

    Every dev photo asks among the other photos of its catalogue: NDCG@10 with the grades of its settings, and
    precision@1 of the leading grade. Every change (such as `pasted`) asks with changed photos for the unchanged ones.

    Args:
        network: Embeds; it is left in eval mode.
        splits: The dev splits; those without grades are passed over.
        preprocessing: How photos are made ready.
        changes: Augmentations by name.

    Returns:
        Figures in [0, 1] by `catalogue number/name`, and their mean as `mean`.
    """
    network.eval()
    figures: dict[str, float] = {}
    for place, split in enumerate(splits):
        if not split.settings.grades or not split.items:
            continue
        rows = embed(network, split.items, preprocessing)
        figures.update({f"{place}/{name}": value for name, value in graded(split, rows).items()})
        for name, change in changes.items():
            changed, found = embed_changed(network, split.items, preprocessing, change)
            if len(found) >= 2:
                nearest = (changed @ rows.T).argmax(axis=1)
                figures[f"{place}/{name} hit_rate@1"] = hit_rate_at_k((nearest == found)[:, None], 1)
    figures["mean"] = float(np.mean(list(figures.values()))) if figures else 0.0
    return figures


def graded(split: Split, rows: Float32) -> dict[str, float]:
    """Leave-one-out graded retrieval among the photos of a split.

    Args:
        split: N items.
        rows: (N, D) float32 unit rows.
    """
    labels = []
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
    return {"ndcg@10": ndcg_at_k(found, ideal, 10), "precision@1": precision_at_k(found >= 1, 1)}


def embed(network: Network, items: Sequence[Item], preprocessing: Preprocessing) -> Float32:
    """Unit rows (N, D) float32 of unchanged photos."""

    def ready(item: Item) -> Float32:
        return preprocessing(open_image(item.location, at_least=preprocessing.height, box=item.box))

    with ThreadPoolExecutor(2) as pool:
        return _run(network, list(pool.map(ready, items)))


def embed_changed(
    network: Network, items: Sequence[Item], preprocessing: Preprocessing, change: Augmentation
) -> tuple[Float32, np.ndarray]:
    """Unit rows of changed photos, (M, D) float32, and the places (M,) of those that the change could be made to."""

    def ready(item: Item) -> Float32 | None:
        photo = open_image(item.location, at_least=preprocessing.height, box=item.box)
        seed = zlib.crc32(item.id.encode())
        random = np.random.default_rng(seed)
        torch.manual_seed(seed)
        changed: Image.Image | None
        changed = change.on_background(photo, random=random) if change.settings.paste else change(photo, random=random)
        return None if changed is None else preprocessing(changed)

    prepared = [ready(item) for item in items]
    found = np.array([place for place, array in enumerate(prepared) if array is not None], dtype=np.int64)
    return _run(network, [array for array in prepared if array is not None]), found


@torch.no_grad()
def _run(network: Network, prepared: Sequence[Float32]) -> Float32:
    device = next(network.parameters()).device
    rows = [
        network(
            torch.from_numpy(np.stack(prepared[start : start + BATCH])).to(device, memory_format=torch.channels_last)
        )
        .cpu()
        .numpy()
        for start in range(0, len(prepared), BATCH)
    ]
    return np.concatenate(rows) if rows else np.zeros((0, network.settings.embedding), dtype=np.float32)
