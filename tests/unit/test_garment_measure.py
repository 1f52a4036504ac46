"""Average precision and recall of garments: by hand, and against COCO's own code."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lookalike.evaluation.garment_evaluation import joined_pairs, true_garments
from lookalike.evaluation.garments import FoundGarments, TrueGarments, average_precision, measure_garments
from lookalike.types import Box, Float32, Item

KINDS = ("top", "dress", "bag")


def boxes(*rows: Sequence[float]) -> Float32:
    return np.array(rows, dtype=np.float32).reshape(-1, 4)


def by_coco(true: Sequence[TrueGarments], found: Sequence[FoundGarments], *, with_kinds: bool) -> dict[str, float]:
    """AP50, and the recall at 100 boxes a photo and an overlap of .5, of each kind that there is."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    annotations: list[dict[str, Any]] = []
    for image, each in enumerate(true, start=1):
        for (x1, y1, x2, y2), kind in zip(each.boxes.astype(float).tolist(), each.kinds.tolist(), strict=True):
            # What may be found or not is a crowd of every kind, for COCO knows crowds of one kind only.
            for category in (range(len(KINDS)) if with_kinds else (0,)) if kind < 0 else (kind if with_kinds else 0,):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image,
                        "category_id": category + 1,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": int(kind < 0),
                    }
                )
    results = [
        {
            "image_id": image,
            "category_id": int(kind) + 1 if with_kinds else 1,
            "score": float(score),
            "bbox": [float(x1), float(y1), float(x2) - float(x1), float(y2) - float(y1)],
        }
        for image, each in enumerate(found, start=1)
        for (x1, y1, x2, y2), kind, score in zip(each.boxes, each.kinds, each.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": image} for image in range(1, len(true) + 1)],
            "categories": [{"id": number + 1, "name": name} for number, name in enumerate(KINDS)],
            "annotations": annotations,
        }
        truth.createIndex()
        judge = cocoeval.COCOeval(truth, truth.loadRes(results), "bbox")
        judge.params.iouThrs = np.array([0.5])
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"][0, :, :, 0, -1], judge.eval["recall"][0, :, 0, -1]
    there = [number for number in range(len(KINDS)) if precision[:, number].max() >= 0]
    return {f"AP50 {KINDS[number]}": float(precision[:, number].mean()) for number in there} | {
        f"recall {KINDS[number]}": float(recall[number]) for number in there
    }


def random_photos(seed: int, *, photos: int = 12) -> tuple[list[TrueGarments], list[FoundGarments]]:
    """Garments, crowds, and what a poor finder makes of them: shifted, doubled, of another kind, missed, made up."""
    random = np.random.default_rng(seed)
    true, found = [], []
    for _ in range(photos):
        corners = random.uniform(0, 200, (int(random.integers(0, 6)), 2))
        there = np.concatenate([corners, corners + random.uniform(20, 120, corners.shape)], axis=1)
        kinds = random.choice([-1, 0, 0, 1, 1, 2], len(there))
        seen = np.concatenate([there, there[: len(there) // 2], random.uniform(0, 100, (2, 4))])
        seen = seen + random.normal(0, 8, seen.shape)
        seen[:, 2:] = np.maximum(seen[:, 2:], seen[:, :2] + 10)
        guessed = random.integers(0, 3, len(seen))
        same = random.random(len(there)) < 0.7
        guessed[: len(there)] = np.where(same & (kinds >= 0), kinds, guessed[: len(there)])
        true.append(TrueGarments(there.astype(np.float32), kinds.astype(np.int64)))
        scores = random.permutation(len(seen)).astype(np.float32) / len(seen)
        found.append(FoundGarments(seen.astype(np.float32), guessed.astype(np.int64), scores))
    return true, found


@pytest.mark.parametrize("seed", range(6))
def test_figures_of_each_kind_are_those_of_coco(seed: int) -> None:
    true, found = random_photos(seed)
    theirs = by_coco(true, found, with_kinds=True)
    ours = measure_garments(true, found, kinds=KINDS).flat()
    assert theirs and {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", range(6, 10))
def test_the_figure_of_any_kind_is_that_of_coco_with_one_kind(seed: int) -> None:
    true, found = random_photos(seed)
    theirs = by_coco(true, found, with_kinds=False)
    assert measure_garments(true, found, kinds=KINDS).any_kind == pytest.approx(theirs["AP50 top"], abs=1e-9)


def test_more_than_a_hundred_boxes_in_a_photo_are_cut_as_coco_cuts_them() -> None:
    random = np.random.default_rng(1)
    corners = random.uniform(0, 50, (150, 2))
    seen = np.concatenate([corners, corners + 40], axis=1).astype(np.float32)
    true = [TrueGarments(seen[140:143], np.zeros(3, dtype=np.int64))]
    found = [FoundGarments(seen, np.zeros(150, dtype=np.int64), np.linspace(1, 0.1, 150, dtype=np.float32))]
    ours, theirs = measure_garments(true, found, kinds=KINDS).flat(), by_coco(true, found, with_kinds=True)
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-9)


def test_average_precision_by_hand() -> None:
    # Right, wrong, right of three: precision 1 up to a recall of 1/3, 2/3 up to 2/3, nothing beyond; 34 and 33 of 101.
    value, recall = average_precision(np.array([True, False, True]), 3)
    assert value == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert recall == pytest.approx(2 / 3)


def test_a_kind_that_no_photo_has_is_left_out_of_the_means() -> None:
    one = boxes((0, 0, 10, 10))
    true = [TrueGarments(one, np.array([1]))]
    found = [FoundGarments(one, np.array([1]), np.array([0.9], dtype=np.float32))]
    figures = measure_garments(true, found, kinds=KINDS)
    assert (figures.mean, figures.by_kind, figures.garments) == (1.0, {"dress": 1.0}, {"dress": 1})


def test_two_shoes_are_joined_to_a_pair_and_far_ones_are_not() -> None:
    left, right, far = (0, 90, 10, 100), (12, 92, 22, 100), (300, 90, 310, 100)
    assert joined_pairs(boxes(left, far, right)).tolist() == [[0, 90, 22, 100], [300, 90, 310, 100]]


def test_words_become_kinds_and_other_words_may_be_found_or_not() -> None:
    rows = [
        Item(str(place), "a.jpg", box=Box(0, 0, 10, 10), attributes={"kind": word})
        for place, word in enumerate(("Sunglasses", "suit", "socks", "jeans"))
    ]
    assert true_garments(rows, single_shoes=False).kinds.tolist() == [9, -1, 4]
