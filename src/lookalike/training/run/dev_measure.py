"""The dev measure: searches among the dev photos and class heads, by the code and the names of `lookalike evaluate`."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from lookalike.errors import PhotoError, TrainingError
from lookalike.evaluation.evaluator import EmbeddedItems, measure_retrieval
from lookalike.evaluation.heads import measure_head, measure_tags
from lookalike.evaluation.metric_values import MetricValues
from lookalike.evaluation.metrics import hit_rate_at_k, mean_of
from lookalike.evaluation.ranking import RetrievalResult
from lookalike.images import open_image, read_bytes
from lookalike.models.network import Network
from lookalike.models.preprocessing import Preprocessing
from lookalike.remote.addresses import shown
from lookalike.spaces import Space
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.data.dataset import unknown_of
from lookalike.training.run.dev_splits import CHANGED, DevSplit
from lookalike.types import Bool, Float32, Int64, Item

BATCH: Final = 64
CELLS: Final = 2**18
"""Similarities per block of changed photos."""

SPACE: Final = "deep"


@dataclass(frozen=True, slots=True)
class Described:
    """What a network computes of B photos.

    Attributes:
        rows: (B, D) float32 unit vectors.
        scores: (B, classes) float32 class scores by head.
    """

    rows: Float32
    scores: Mapping[str, Float32] = field(default_factory=dict)


Describe = Callable[[Sequence[Image.Image]], Described]
"""Describes B RGB photos."""

SkipItem = Callable[[Item, str], None]
"""Called with an unreadable photo and the reason."""


@dataclass(frozen=True, slots=True)
class DevMeasure:
    """Result of a dev measure.

    Attributes:
        figures: Figures in [0, 1] by `catalogue number/name`.
        classes: Figures of each class, and its number of photos, by `catalogue number/head`.
        shown: Answers of the first split with searches, for the hits-and-misses grid; None without one.
    """

    figures: dict[str, float] = field(default_factory=dict)
    classes: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    shown: RetrievalResult | None = None


@dataclass(frozen=True, slots=True)
class _Photos:
    """The n described photos of a split; `absent` marks those that cannot be read, whose rows and scores are 0."""

    rows: Float32
    scores: Mapping[str, Float32]
    absent: Bool
    contents: Mapping[str, str]


def measure(
    describe: Describe,
    splits: Sequence[DevSplit],
    *,
    changes: Mapping[str, Augmentation],
    at_least: int,
    skip: SkipItem = lambda item, reason: None,
) -> DevMeasure:
    """Measure a network on the dev splits.

    Searches are those of the split's protocol, by the cosine of the embeddings: the figures are what `lookalike
    evaluate --weight deep=1` prints of the same photos. Unreadable photos count as 0, as there. For each augmentation
    (such as `pasted`), augmented photos query all original ones: hit rate@1, left out if no photo can be augmented.

    Args:
        describe: Model to measure.
        splits: Dev splits, with what is measured on them.
        changes: Augmentations by name.
        at_least: Smallest side in pixels that photos may be decoded at.
        skip: Called for each unreadable photo.

    Raises:
        TrainingError: No photo of a split can be read.
    """
    found = DevMeasure()
    result: RetrievalResult | None = None
    for dev in splits:
        photos = _described(describe, dev.split.items, at_least=at_least, skip=skip)
        measured: list[MetricValues] = []
        if dev.protocol is not None:
            searched = _searched(dev, photos)
            result = result or searched
            measured.append(searched.metric_values)
        measured += _classified(dev, photos)
        for values in measured:
            found.figures.update({f"{dev.place}/{name}": value for name, value in values.figures().items()})
            if values.protocol.startswith("classes=") and values.by:
                found.classes[f"{dev.place}/{values.by}"] = values.per_category()
        if dev.measures_changes:
            for name, change in changes.items():
                rate = _changed_rate(describe, dev, photos, change, at_least=at_least)
                if rate is not None:
                    found.figures[f"{dev.place}/{CHANGED.format(name)}"] = rate
    return DevMeasure(found.figures, found.classes, result)


def describe_with(network: Network, preprocessing: Preprocessing, *, heads: Sequence[str] = ()) -> Describe:
    """Return a function that describes photos with a network in eval mode.

    Args:
        network: Network.
        preprocessing: Its preprocessing.
        heads: Heads whose scores are computed.
    """

    @torch.no_grad()
    def describe(photos: Sequence[Image.Image]) -> Described:
        device = next(network.parameters()).device
        pixels = torch.from_numpy(np.stack([preprocessing(photo) for photo in photos]))
        pooled = network.pooled(network.maps(pixels.to(device, memory_format=torch.channels_last)))
        rows = functional.normalize(network.embed_pooled(pooled), dim=1)  # search compares directions too
        read = network.read_rows(pooled, network.metric_rows(pooled)) if heads else pooled
        scores = {head: network.scores(head, read).float().cpu().numpy() for head in heads}
        return Described(rows.cpu().numpy(), scores)

    return describe


def _searched(dev: DevSplit, photos: _Photos) -> RetrievalResult:
    """Search the photos of a split by its protocol."""
    assert dev.protocol is not None
    space = Space(SPACE, photos.rows.shape[1], "in training")
    embedded = EmbeddedItems((space,), {SPACE: photos.rows}, photos.absent, contents=photos.contents)
    return measure_retrieval(
        dev.split.items,
        embedded,
        protocol=dev.protocol,
        weights={SPACE: 1.0},
        apart=dev.split.settings.apart,
        unknown=unknown_of(dev.split.settings),
    )[0]


def _classified(dev: DevSplit, photos: _Photos) -> Iterator[MetricValues]:
    """Measure the heads of a split."""
    split, absent = dev.split, photos.absent
    for head, classes in dev.heads.items():
        labels, scores = split.field(head), photos.scores[head]
        yield measure_head(split.items, labels, head=head, classes=classes, scores=scores, absent=absent)
    for head, tags in dev.tags.items():
        of_photos, scores = split.tags(head), photos.scores[head]
        yield measure_tags(split.items, of_photos, head=head, classes=tags, scores=scores, absent=absent)


def _changed_rate(
    describe: Describe, dev: DevSplit, photos: _Photos, change: Augmentation, *, at_least: int
) -> float | None:
    """Hit rate@1 of augmented photos for their originals; None if no photo can be augmented."""
    places = np.flatnonzero(~photos.absent)
    found: list[int] = []
    items = [dev.split.items[place] for place in places.tolist()]
    changed = described(describe, changed_photos(items, change, at_least=at_least, found=found))
    if not found:
        return None
    contents = np.array([photos.contents.get(item.id, item.id) for item in items])  # copies of a photo are as good
    hits = contents[_nearest(changed.rows, photos.rows[places])] == contents[np.asarray(found)]
    return mean_of(hit_rate_at_k(hits[:, None], 1))


def _nearest(queries: Float32, rows: Float32) -> Int64:
    """Return the place of the nearest row of each query, (Q,)."""
    each = max(1, CELLS // max(1, len(rows)))
    starts = range(0, len(queries), each)
    return np.concatenate([(queries[start : start + each] @ rows.T).argmax(axis=1) for start in starts])


def _described(describe: Describe, items: Sequence[Item], *, at_least: int, skip: SkipItem) -> _Photos:
    """Describe the photos of a split, as `lookalike evaluate` reads them."""
    places: list[int] = []
    contents: dict[str, str] = {}
    readable = _readable(items, at_least=at_least, places=places, contents=contents, skip=skip)
    found = described(describe, readable)
    if not places:
        raise TrainingError(f"none of the {len(items):,} dev photos can be read; the first: {items[0].location}")
    absent = np.ones(len(items), dtype=np.bool_)
    absent[places] = False

    def spread(part: Float32) -> Float32:
        whole = np.zeros((len(items), part.shape[1]), dtype=np.float32)
        whole[places] = part
        return whole

    return _Photos(spread(found.rows), {head: spread(part) for head, part in found.scores.items()}, absent, contents)


def _readable(
    items: Sequence[Item], *, at_least: int, places: list[int], contents: dict[str, str], skip: SkipItem
) -> Iterator[Image.Image]:
    """Yield the readable photos; append their places, and note the SHA-256 of their bytes by the item's id."""
    for place, item in enumerate(items):
        try:
            data = read_bytes(item, keep=False)
            photo = open_image(data, at_least=at_least, box=item.box, name=shown(item.location))
        except PhotoError as error:
            skip(item, str(error))
        else:
            places.append(place)
            contents[item.id] = hashlib.sha256(data).hexdigest()
            yield photo


def changed_photos(
    items: Sequence[Item], change: Augmentation, *, at_least: int, found: list[int]
) -> Iterator[Image.Image]:
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


def described(describe: Describe, photos: Iterator[Image.Image]) -> Described:
    """Describe photos in batches; no photos have rows of length 1, and no scores."""
    parts = [describe(batch) for batch in iter(lambda: list(islice(photos, BATCH)), [])]
    if not parts:
        return Described(np.zeros((0, 1), dtype=np.float32))
    scores = {head: np.concatenate([part.scores[head] for part in parts]) for head in parts[0].scores}
    return Described(np.concatenate([part.rows for part in parts]), scores)
