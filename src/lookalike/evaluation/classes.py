"""Category and attribute prediction: top-k accuracy and recall of a network's class scores.

Definitions are those of DeepFashion (Liu et al. 2016, section 4.1), as the published evaluators compute them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from lookalike.errors import MismatchError, UsageError
from lookalike.evaluation.metric_values import NO_CATEGORY, MetricValues
from lookalike.evaluation.metrics import Float64
from lookalike.types import Bool, Float32, Int64, Item

TOP: Final = (3, 5)
ALL: Final = "all"
BLOCK: Final = 4096


def rank_of_class(scores: Float32, right: Int64) -> Int64:
    """Return the rank, from 1, of the right class of each photo; ties are ranked in class order.

    Args:
        scores: (B, C) float32, higher is more likely.
        right: (B,) int64 class numbers.

    Returns:
        (B,) int64.
    """
    of_right = np.take_along_axis(scores, right[:, None], axis=1)
    before = np.arange(scores.shape[1])[None, :] < right[:, None]
    ranks: Int64 = 1 + ((scores > of_right) | ((scores == of_right) & before)).sum(axis=1)
    return ranks


def found_among_top(scores: Float32, positive: Bool, k: int) -> Int64:
    """Count each photo's attributes among the k with the highest scores.

    Args:
        scores: (B, C) float32 scores of the competing attributes, such as those of one type.
        positive: (B, C) bool, whether the photo has the attribute.
        k: From 1.

    Returns:
        (B,) int64.
    """
    found = np.zeros(len(scores), dtype=np.int64)
    for start in range(0, len(scores), BLOCK):
        part = slice(start, start + BLOCK)
        top = np.argsort(-scores[part], axis=1, kind="stable")[:, :k]
        found[part] = np.take_along_axis(positive[part], top, axis=1).sum(axis=1)
    return found


def measure_classes(
    items: Sequence[Item],
    *,
    categories: Sequence[str],
    category_scores: Float32 | None,
    attribute_types: Mapping[str, str],
    attributes: Sequence[str],
    attribute_scores: Float32 | None,
    absent: Bool | None = None,
    seed: int = 0,
) -> MetricValues:
    """Compute top-3 and top-5 category accuracy, and attribute recall over all attributes and within each type.

    Attribute recall is the number of attributes found divided by the number of attributes present, summed over all
    photos (not the mean of each photo's recall); within a type only the attributes of that type compete for the first
    k places. Attributes not annotated for a photo count as absent, and those unknown to the model as not found.

    Args:
        items: Q photos, with the attributes `category` and `attributes` (a list).
        categories: Names of the C category scores.
        category_scores: (Q, C) float32; None when the model has none.
        attribute_types: The type of each attribute by name.
        attributes: Names of the A attribute scores.
        attribute_scores: (Q, A) float32; None when the model has none.
        absent: (Q,) bool, photos without scores; they find nothing.
        seed: Seed of the intervals.

    Raises:
        UsageError: There are no scores, or no photos.
        MismatchError: The model knows none of the categories, or none of the attributes.

    Source: Liu et al. 2016, section 4.1, "top-k classification accuracy" and "top-k recall rate".
    """
    if not items or (category_scores is None and attribute_scores is None):
        raise UsageError("there are no photos to classify" if not items else "the model has no class scores")
    there = np.ones(len(items), dtype=np.bool_) if absent is None else ~absent
    names: list[str] = []
    values: list[Float64 | Bool] = []
    counts: list[Float64 | Int64] = []
    labels = [str(item.attributes.get("category") or "") for item in items]
    notes = []
    if category_scores is not None:
        places = {name: place for place, name in enumerate(categories)}
        right = np.array([places.get(label, -1) for label in labels], dtype=np.int64)
        if (right < 0).all():
            raise MismatchError(f"the model's categories, such as {categories[0]!r}, do not occur in the catalogue")
        if unknown := int((right < 0).sum()):
            notes.append(f"{unknown:,} photos are of a category that the model does not know; they count as 0")
        ranks = rank_of_class(category_scores, np.maximum(right, 0))
        for k in TOP:
            names.append(f"category_accuracy@{k}")
            values.append((ranks <= k) & (right >= 0) & there)
            counts.append(np.ones(len(items)))
    if attribute_scores is not None:
        beyond = _unknown_to(attributes, items)
        positive = _positives(items, [*attributes, *beyond])
        if not positive[:, : len(attributes)].any():
            raise MismatchError(f"the model's attributes, such as {attributes[0]!r}, do not occur in the catalogue")
        if beyond:
            notes.append(
                f"{len(beyond):,} attributes are unknown to the model, such as {beyond[0]!r}; they count as not found"
            )
        groups = _groups([*attributes, *beyond], attribute_types)
        for name, value, total in _recalls(attribute_scores, positive, groups):
            names.append(name)
            values.append(value * there)
            counts.append(total)
    return MetricValues(
        protocol="attributes",
        metrics=tuple(names),
        queries=[item.id for item in items],
        gallery=0,
        by="category",
        categories=[label or NO_CATEGORY for label in labels],
        values=np.stack(values, axis=1).astype(np.float64),
        counts=np.stack(counts, axis=1).astype(np.float64),
        notes=tuple(notes),
        seed=seed,
    )


def _recalls(scores: Float32, positive: Bool, groups: Mapping[str, Bool]) -> Iterator[tuple[str, Float64, Int64]]:
    """Yield for each group and k the metric's name, the fraction of attributes found and their number, (Q,) each.

    Args:
        scores: (Q, A) float32.
        positive: (Q, A + B) bool, whether a photo has an attribute; the last B attributes have no scores.
        groups: (A + B,) bool membership of the competing attributes, by group.
    """
    scored = scores.shape[1]
    for group, members in groups.items():
        total: Int64 = positive[:, members].sum(axis=1)
        asked = members[:scored]
        for k in TOP:
            found = found_among_top(scores[:, asked], positive[:, :scored][:, asked], k)
            part: Float64 = np.divide(found, total, out=np.zeros(len(total)), where=total > 0)
            yield f"attribute_recall@{k}[{group}]", part, total


def _groups(attributes: Sequence[str], types: Mapping[str, str]) -> dict[str, Bool]:
    """Return the groups of competing attributes: all, and those of each type, (A,) bool."""
    kinds = np.array([types.get(name, "") for name in attributes])
    of_types = {kind: kinds == kind for kind in dict.fromkeys(types.values())}
    return {ALL: np.ones(len(attributes), dtype=np.bool_), **{kind: of for kind, of in of_types.items() if of.any()}}


def _unknown_to(attributes: Sequence[str], items: Sequence[Item]) -> list[str]:
    """Return the attributes of photos that are not among the given ones, sorted."""
    there: set[str] = set()
    for item in items:
        known = item.attributes.get("attributes")
        there.update(map(str, known if isinstance(known, list) else []))
    return sorted(there.difference(attributes))


def _positives(items: Sequence[Item], attributes: Sequence[str]) -> Bool:
    """Return whether each photo has each attribute, (Q, A) bool."""
    places = {name: place for place, name in enumerate(attributes)}
    positive = np.zeros((len(items), len(attributes)), dtype=np.bool_)
    for row, item in enumerate(items):
        known = item.attributes.get("attributes")
        chosen = [places[name] for name in (known if isinstance(known, list) else []) if name in places]
        positive[row, chosen] = True
    return positive
