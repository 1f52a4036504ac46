"""Loss of the finder: task-aligned assignment of locations to garments, classification and box losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou, generalized_box_iou_loss

from lookalike.models.finder.network import boxes_of

SCORE_POWER, OVERLAP_POWER = 0.5, 6.0
"""Exponents of score and overlap in the alignment of a location with a garment."""

PLACES = 10
"""Largest number of locations assigned to one garment."""

SMALLEST = 16.0
"""Smallest side, in pixels, of the region of candidate locations, so that tiny garments have candidates."""

BOX_WEIGHT = 2.0


@dataclass(frozen=True, slots=True)
class Truth:
    """Labels of one training input.

    Attributes:
        boxes: (G, 4) float32, in input pixels.
        kinds: (G,) int64.
        exact: (G,) float32 in [0, 1], weight of the box loss.
        unknown: (U, 4) float32, regions with ambiguous garments; unassigned locations in them have no loss.
        known: (K,) bool, kinds that are labelled wherever they occur; the others have no negative locations.
    """

    boxes: Tensor
    kinds: Tensor
    exact: Tensor
    unknown: Tensor
    known: Tensor


def finder_loss(logits: Tensor, distances: Tensor, truths: list[Truth], *, centres: Tensor) -> dict[str, Tensor]:
    """Weighted loss terms of a batch: binary cross-entropy of the kinds and generalised IoU of the boxes.

    Args:
        logits: (B, A, K).
        distances: (B, A, 4), in input pixels.
        truths: B labels.
        centres: (A, 2), in input pixels.

    Source: Feng et al. 2021, TOOD: Task-aligned One-stage Object Detection; Rezatofighi et al. 2019, Generalized IoU.
    """
    boxes = boxes_of(centres, distances)
    kinds_loss, boxes_loss, total = logits.new_zeros(()), logits.new_zeros(()), logits.new_zeros(())
    for scores, found, truth in zip(logits, boxes, truths, strict=True):
        with torch.no_grad():
            garment, target = assign(scores.sigmoid(), found, truth, centres=centres)
            wanted = torch.zeros_like(scores)
            chosen = garment >= 0
            wanted[chosen, truth.kinds[garment[chosen]]] = target[chosen]
            counts = truth.known[None, :] & ~(inside(centres, truth.unknown).any(dim=1) & ~chosen)[:, None]
            counts = counts | (wanted > 0)
        each = functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
        kinds_loss = kinds_loss + (each * counts).sum()
        if chosen.any():
            weight = target[chosen] * truth.exact[garment[chosen]]
            apart = generalized_box_iou_loss(found[chosen], truth.boxes[garment[chosen]], reduction="none")
            boxes_loss = boxes_loss + (apart * weight).sum()
        total = total + target.sum()
    total = total.clamp(min=1.0)
    return {"kinds": kinds_loss / total, "boxes": BOX_WEIGHT * boxes_loss / total}


def assign(scores: Tensor, found: Tensor, truth: Truth, *, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Assign locations to garments by the alignment of score and overlap.

    Args:
        scores: (A, K) in [0, 1].
        found: (A, 4) predicted boxes.
        truth: Labels.
        centres: (A, 2).

    Returns:
        Garment of each location, (A,) int64, -1 for none; and its target score, (A,) in [0, 1]: alignment scaled such
        that the best location of a garment has its intersection over union as target.
    """
    count = len(centres)
    if not len(truth.boxes):
        return torch.full((count,), -1), torch.zeros(count)
    overlap = box_iou(truth.boxes, found)  # (G, A)
    metric = scores[:, truth.kinds].T ** SCORE_POWER * overlap**OVERLAP_POWER
    metric = metric * inside(centres, widened(truth.boxes)).T
    best = metric.topk(min(PLACES, count), dim=1)
    mine = torch.zeros_like(metric, dtype=torch.bool).scatter_(1, best.indices, best.values > 0)
    metric, overlap = metric * mine, overlap * mine
    garment = overlap.argmax(dim=0)
    chosen = mine.any(dim=0)
    only = torch.zeros_like(mine).scatter_(0, garment[None], chosen[None])
    metric, overlap = metric * only, overlap * only
    scale = overlap.amax(dim=1) / metric.amax(dim=1).clamp(min=1e-12)
    target = (metric * scale[:, None]).amax(dim=0)
    return torch.where(chosen, garment, -1), target


def inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Whether points (A, 2) lie in boxes (G, 4), (A, G) bool."""
    return ((points[:, None] > boxes[None, :, :2]) & (points[:, None] < boxes[None, :, 2:])).all(dim=2)


def widened(boxes: Tensor) -> Tensor:
    """Boxes (G, 4) with sides shorter than `SMALLEST` widened about their centre."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    half = half.clamp(min=SMALLEST / 2)
    return torch.cat([middle - half, middle + half], dim=1)
