"""Average precision and recall of detected garments, as COCO defines them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.finding.boxes import areas, intersection_over_union, shared_areas
from lookalike.types import Bool, Float32, Int64

OVERLAP = 0.5
"""Intersection over union of a match: the 50 of AP50."""

MOST = 100
"""Largest number of boxes of one kind in one photo; those with the highest scores count."""

RECALLS = np.linspace(0.0, 1.0, 101)
"""Recall levels of the average precision."""

UNKNOWN = -1
"""Kind of an ignored box: detections in it are neither right nor wrong, as with COCO's `iscrowd`."""


@dataclass(frozen=True, slots=True)
class TrueGarments:
    """Ground truth of one photo.

    Attributes:
        boxes: (G, 4), x1, y1, x2, y2.
        kinds: (G,) int64; -1 marks an ignored box.
    """

    boxes: Float32
    kinds: Int64


@dataclass(frozen=True, slots=True)
class FoundGarments:
    """Detections in one photo.

    Attributes:
        boxes: (N, 4), x1, y1, x2, y2, in the units of the ground truth.
        kinds: (N,) int64.
        scores: (N,), higher is more confident.
    """

    boxes: Float32
    kinds: Int64
    scores: Float32


@dataclass(frozen=True, slots=True)
class GarmentFigures:
    """Average precision and recall over photos.

    Attributes:
        any_kind: AP50 with all kinds taken as one.
        mean: Mean AP50 over kinds.
        recall: Mean recall over kinds.
        by_kind: AP50 of each kind in the ground truth.
        recall_by_kind: Recall of each kind at an overlap of 0.5 and at most 100 boxes a photo.
        garments: Number of garments of each kind.
    """

    any_kind: float
    mean: float
    recall: float
    by_kind: Mapping[str, float]
    recall_by_kind: Mapping[str, float]
    garments: Mapping[str, int]

    def flat(self) -> dict[str, float]:
        """Figures by names such as `AP50 dress`."""
        return {
            "AP50 any kind": self.any_kind,
            "AP50 mean": self.mean,
            "recall mean": self.recall,
            **{f"AP50 {kind}": value for kind, value in self.by_kind.items()},
            **{f"recall {kind}": value for kind, value in self.recall_by_kind.items()},
        }


def measure_garments(
    true: Sequence[TrueGarments], found: Sequence[FoundGarments], *, kinds: Sequence[str]
) -> GarmentFigures:
    """Measure detections over photos.

    Args:
        true: Ground truth of each photo.
        found: Detections in the same photos.
        kinds: Names; kinds without ground truth are left out of the means.

    Source: Lin et al. 2014, Microsoft COCO, and its cocoapi (`COCOeval`, `bbox`, area `all`).
    """
    by_kind, recalls, counts = {}, {}, {}
    for number, kind in enumerate(kinds):
        count = sum(int((each.kinds == number).sum()) for each in true)
        if count:
            counts[kind] = count
            by_kind[kind], recalls[kind] = _of_kind(true, found, number)
    any_true = [TrueGarments(each.boxes, np.minimum(each.kinds, 0)) for each in true]
    any_found = [FoundGarments(each.boxes, np.zeros_like(each.kinds), each.scores) for each in found]
    any_kind, _ = _of_kind(any_true, any_found, 0) if counts else (0.0, 0.0)
    return GarmentFigures(
        any_kind=any_kind,
        mean=float(np.mean([*by_kind.values()])) if by_kind else 0.0,
        recall=float(np.mean([*recalls.values()])) if recalls else 0.0,
        by_kind=by_kind,
        recall_by_kind=recalls,
        garments=counts,
    )


def _of_kind(true: Sequence[TrueGarments], found: Sequence[FoundGarments], kind: int) -> tuple[float, float]:
    """Average precision and recall of one kind."""
    scores: list[Float32] = []
    right: list[Bool] = []
    total = 0
    for there, seen in zip(true, found, strict=True):
        mine = seen.kinds == kind
        order = np.argsort(-seen.scores[mine], kind="stable")[:MOST]
        boxes, score = seen.boxes[mine][order], seen.scores[mine][order]
        hits, free = matched(boxes, there.boxes[there.kinds == kind], there.boxes[there.kinds == UNKNOWN])
        scores.append(score[~free])
        right.append(hits[~free])
        total += int((there.kinds == kind).sum())
    every = np.concatenate(scores)
    order = np.argsort(-every, kind="stable")
    return average_precision(np.concatenate(right)[order], total)


def matched(found: Float32, true: Float32, ignored: Float32) -> tuple[Bool, Bool]:
    """Match detections: each in turn takes the free ground truth box with the largest overlap.

    Args:
        found: (N, 4) detections, highest score first.
        true: (G, 4) ground truth.
        ignored: (F, 4) ignored boxes; an unmatched detection with at least half of its area in one does not count.

    Returns:
        Whether each detection is right, and whether it does not count, (N,) bool each.
    """
    overlap = intersection_over_union(found, true)
    within = shared_areas(found, ignored) / np.maximum(areas(found), 1e-12)[:, None] >= OVERLAP
    right, left_out = np.zeros(len(found), dtype=bool), np.zeros(len(found), dtype=bool)
    taken = np.zeros(len(true), dtype=bool)
    for place in range(len(found)):
        left = np.where(taken, -1.0, overlap[place])
        if len(true) and left.max() >= OVERLAP:
            # The last of several with equal overlap, as in cocoapi.
            taken[len(left) - 1 - int(left[::-1].argmax())] = True
            right[place] = True
        else:
            left_out[place] = bool(within[place].any())
    return right, left_out


def average_precision(right: Bool, total: int) -> tuple[float, float]:
    """Mean precision at 101 recall levels, and the final recall.

    Args:
        right: (N,) bool, whether each detection is right, highest score first.
        total: Number of ground truth boxes, at least 1.
    """
    if not len(right):
        return 0.0, 0.0
    hits = np.cumsum(right)
    recall = hits / total
    precision = hits / np.arange(1, len(right) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side="left")
    reached = places < len(right)
    return float(np.where(reached, precision[np.minimum(places, len(right) - 1)], 0.0).mean()), float(recall[-1])
