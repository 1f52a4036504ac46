"""Accuracy of class heads and recall of multi-label heads on labelled photos of any catalogue."""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.classes import found_among_top, rank_of_class
from lookalike.evaluation.metric_values import MetricValues
from lookalike.evaluation.task import value_of
from lookalike.types import Bool, Float32, Item

TOP: Final = (1, 3, 5)
"""Numbers of most likely classes among which the right one counts."""

TOP_TAGS: Final = (3, 5)

JOIN: Final = "+"
"""Separator of the attributes of a combined label."""


def parts_of(label: str, names: Container[str]) -> list[str]:
    """Return the attributes of a label: the one of that name, or those joined by `+`."""
    return [label] if label in names else label.split(JOIN)


def label_of(item: Item, name: str, *, unknown: Collection[str]) -> str | None:
    """Return a label of an item as text: an attribute, `product`, `id`, or several joined by `+`.

    None where it, or a part of it, is unknown.
    """
    values = [value_of(item, part, unknown=unknown) for part in parts_of(name, item.attributes)]
    return None if None in values else JOIN.join(filter(None, values))


def tags_of(item: Item, name: str, *, unknown: Collection[str]) -> frozenset[str] | None:
    """Return the tags of an item, from an attribute whose values are lists; None where they are unknown."""
    value = item.attributes.get(name)
    return frozenset(map(str, value)) - frozenset(unknown) if isinstance(value, list) else None


def head_metrics(head: str, classes: int) -> tuple[str, ...]:
    """Return the names of the metrics of a class head; a k of as many classes as there are would always be 1."""
    return (*(f"accuracy@{k}[{head}]" for k in TOP if k == 1 or k < classes), f"balanced_accuracy[{head}]")


def tag_metrics(head: str, tags: int) -> tuple[str, ...]:
    """Return the names of the metrics of a multi-label head."""
    return tuple(f"attribute_recall@{k}[{head}]" for k in TOP_TAGS if k == TOP_TAGS[0] or k < tags)


def measure_head(
    items: Sequence[Item],
    labels: Sequence[str | None],
    *,
    head: str,
    classes: Sequence[str],
    scores: Float32,
    absent: Bool | None = None,
) -> MetricValues:
    """Compute top-1, top-3 and top-5 accuracy of a class head, and the mean over classes of their top-1 accuracy.

    Photos without a label are not asked. A photo of a class that the head does not have counts as 0, and so does one
    without scores. `balanced_accuracy` weighs every class equally; its rival `accuracy@1` weighs every photo equally.

    Args:
        items: n photos.
        labels: Class of each photo; None where it is unknown.
        head: Name of the head.
        classes: Names of its C classes.
        scores: (n, C) float32, higher is more likely; ties are ranked in class order.
        absent: (n,) bool, photos without scores.

    Raises:
        UsageError: No photo has a label.

    Source: Brodersen et al. 2010, The Balanced Accuracy and Its Posterior Distribution, for several classes.
    """
    asked = np.flatnonzero([label is not None for label in labels])
    if not len(asked):
        raise UsageError(f"no photo has a label for the class head {head!r}")
    names = [str(labels[place]) for place in asked.tolist()]
    places = {name: place for place, name in enumerate(classes)}
    right = np.array([places.get(name, -1) for name in names], dtype=np.int64)
    known = right >= 0
    there = known if absent is None else known & ~absent[asked]
    ranks = rank_of_class(scores[asked], np.maximum(right, 0))
    metrics = head_metrics(head, len(classes))
    hits = [(ranks <= k) & there for k in TOP if f"accuracy@{k}[{head}]" in metrics]
    _, of_class, sizes = np.unique(names, return_inverse=True, return_counts=True)
    equal = np.ones(len(asked))
    unknown = int((~known).sum())
    note = f"{unknown:,} photos are of a class that the head {head!r} does not have; they count as 0"
    return MetricValues(
        protocol=f"classes={head}",
        metrics=metrics,
        queries=[items[place].id for place in asked.tolist()],
        gallery=0,
        by=head,
        categories=names,
        values=np.stack([*hits, hits[0]], axis=1).astype(np.float64),
        counts=np.stack([*(equal for _ in hits), 1.0 / sizes[of_class]], axis=1),
        notes=(note,) if unknown else (),
    )


def measure_tags(
    items: Sequence[Item],
    tags: Sequence[AbstractSet[str] | None],
    *,
    head: str,
    classes: Sequence[str],
    scores: Float32,
    absent: Bool | None = None,
) -> MetricValues:
    """Compute the fraction of all tags of the photos that are among the 3 and 5 most likely ones of their photo.

    Photos whose tags are unknown are not asked. Tags that the head does not have count as not found, and so do those of
    a photo without scores.

    Args:
        items: n photos.
        tags: Tags of each photo; None where they are unknown.
        head: Name of the multi-label head.
        classes: Names of its T tags.
        scores: (n, T) float32, higher is more likely.
        absent: (n,) bool, photos without scores.

    Raises:
        UsageError: No photo has a tag.

    Source: Liu et al. 2016, DeepFashion, section 4.1, "top-k recall rate".
    """
    known = [(place, of_photo) for place, of_photo in enumerate(tags) if of_photo]
    if not known:
        raise UsageError(f"no photo has a tag for the multi-label head {head!r}")
    asked = np.array([place for place, _ in known], dtype=np.int64)
    positive = np.array([[name in of_photo for name in classes] for _, of_photo in known], dtype=np.bool_)
    total = np.array([len(of_photo) for _, of_photo in known], dtype=np.int64)
    there = np.ones(len(asked), dtype=np.bool_) if absent is None else ~absent[asked]
    metrics = tag_metrics(head, len(classes))
    found = [found_among_top(scores[asked], positive, k) * there / total for k in TOP_TAGS[: len(metrics)]]
    return MetricValues(
        protocol=f"classes={head}",
        metrics=metrics,
        queries=[items[place].id for place in asked.tolist()],
        gallery=0,
        by="",
        categories=[""] * len(asked),
        values=np.stack(found, axis=1),
        counts=np.stack([total.astype(np.float64)] * len(metrics), axis=1),
    )
