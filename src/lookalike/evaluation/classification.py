"""Evaluation of a checkpoint's class heads: DeepFashion's `attributes`, and the heads of any catalogue (`classes`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.errors import MismatchError, PhotoError, UnknownNameError, UsageError
from lookalike.evaluation.classes import measure_classes
from lookalike.evaluation.heads import label_of, measure_head, measure_tags, tags_of
from lookalike.evaluation.metric_values import MetricValues
from lookalike.evaluation.metrics import Float64
from lookalike.evaluation.task import UNKNOWN, category_in
from lookalike.extras import extra_wanted
from lookalike.images import open_image
from lookalike.types import Bool, Float32, Item

if TYPE_CHECKING:
    from lookalike.catalogue.benchmark import Benchmark
    from lookalike.evaluation.protocol import Protocol
    from lookalike.models.class_scores import Classifier

CLASSIFIED_AT_ONCE: Final = 16

Progress = Callable[[int, int], None]


def open_classifier(models: Sequence[str], *, protocol: str, device: str) -> Classifier:
    """Open the checkpoint whose class heads are measured.

    Args:
        models: Exactly one model.
        protocol: Name of the protocol, for errors.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        UsageError: There is not one model, or it can have no class heads.
        MissingExtraError: The packages for class scores are not installed.
    """
    if len(models) != 1:
        raise UsageError(
            f"the protocol {protocol!r} measures the class heads of one model; give it with --model CHECKPOINT"
        )
    model = Path(models[0])
    if model.suffix in ("", ".onnx"):
        kinds = "a .safetensors checkpoint, or a .pth.tar of the original system,"
        raise UsageError(f"only {kinds} has class heads to ask for {protocol!r}, got {model}")
    with extra_wanted("class scores", "train"):
        from lookalike.models.class_scores import Classifier
    return Classifier(model, device=device)


def measure_classification(
    items: Sequence[Item],
    classifier: Classifier,
    *,
    protocol: Protocol,
    benchmark: Benchmark | None = None,
    unknown: Sequence[str] = UNKNOWN,
    category: str | None = None,
    progress: Progress | None = None,
) -> tuple[MetricValues, dict[str, str]]:
    """Measure a network's class scores.

    Args:
        items: n items.
        classifier: Classifier to measure.
        protocol: `attributes`, or `classes` with the heads to measure, or without words for all heads.
        benchmark: For `attributes`, the Category and Attribute Prediction Benchmark.
        unknown: Attribute values that mean "unknown", for `classes`.
        category: For `classes`, the attribute for the figures by category; None takes the first head.
        progress: Called with the number of photos classified and in all.

    Returns:
        Values of the metrics, and reasons for unreadable photos by item id.

    Raises:
        UsageError: There are no photos, no heads, or no photos with their labels.
        UnknownNameError: The network has no such head.
        MismatchError: The photos show none of the network's classes.
    """
    if protocol.name == "attributes":
        heads = [head for head in ("category", "attributes") if head in classifier.classes]
        if not heads:
            known = ", ".join(classifier.classes) or "none"
            raise UsageError(
                f"the model has neither a head 'category' nor 'attributes', only: {known}; train one that has"
            )
        scores, reasons = class_scores(items, classifier, heads, progress=progress)
        measured = measure_classes(
            items,
            categories=classifier.classes.get("category", ()),
            category_scores=scores.get("category"),
            attribute_types=benchmark.attribute_types if benchmark else {},
            attributes=classifier.classes.get("attributes", ()),
            attribute_scores=scores.get("attributes"),
            absent=_absent(items, reasons),
        )
        return measured, reasons
    heads = _heads(items, classifier, protocol.words, unknown=unknown)
    scores, reasons = class_scores(items, classifier, heads, progress=progress)
    absent = _absent(items, reasons)
    parts = []
    for head in heads:
        tags = [tags_of(item, head, unknown=unknown) for item in items]
        classes, of_head = classifier.classes[head], scores[head]
        if any(tags):
            parts.append(measure_tags(items, tags, head=head, classes=classes, scores=of_head, absent=absent))
        else:
            labels = [label_of(item, head, unknown=unknown) for item in items]
            parts.append(measure_head(items, labels, head=head, classes=classes, scores=of_head, absent=absent))
    return _joined(items, parts, protocol=str(protocol), by=category or heads[0], unknown=unknown), reasons


def class_scores(
    items: Sequence[Item], classifier: Classifier, heads: Sequence[str], *, progress: Progress | None = None
) -> tuple[dict[str, Float32], dict[str, str]]:
    """Compute the class scores of n photos.

    Returns:
        (n, C) float32 by head, and the reasons for unreadable photos by item id.
    """
    scores = {head: np.zeros((len(items), len(classifier.classes[head])), dtype=np.float32) for head in heads}
    reasons: dict[str, str] = {}
    for start in range(0, len(items), CLASSIFIED_AT_ONCE):
        places, photos = [], []
        for place, item in enumerate(items[start : start + CLASSIFIED_AT_ONCE], start):
            try:
                photos.append(open_image(item, at_least=classifier.wanted_size, box=item.box))
                places.append(place)
            except PhotoError as error:
                reasons[item.id] = str(error)
        if photos:
            for head, part in classifier.scores(photos, heads).items():
                scores[head][places] = part
        if progress:
            progress(min(start + CLASSIFIED_AT_ONCE, len(items)), len(items))
    return scores, reasons


def _absent(items: Sequence[Item], reasons: Mapping[str, str]) -> Bool:
    """Mark the unreadable photos: (n,) bool."""
    return np.array([item.id in reasons for item in items], dtype=np.bool_)


def _heads(
    items: Sequence[Item], classifier: Classifier, wanted: Sequence[str], *, unknown: Sequence[str]
) -> list[str]:
    """Return the heads to measure: those that are wanted, or all whose classes the photos show."""
    for head in wanted:
        if head not in classifier.classes:
            raise UnknownNameError("class head of the model", head, classifier.classes)
    shown = {
        head: {label_of(item, head, unknown=unknown) for item in items}.union(
            *(tags_of(item, head, unknown=unknown) or () for item in items)
        )
        for head in wanted or classifier.classes
    }
    found = [head for head, labels in shown.items() if labels & {*classifier.classes[head]}]
    if missing := [head for head in wanted if head not in found]:
        raise MismatchError(f"the photos show none of the classes of the head {missing[0]!r}")
    if not found:
        known = ", ".join(classifier.classes) or "none"
        raise MismatchError(f"the photos show none of the classes of the model's heads, which are: {known}")
    return found


def _joined(
    items: Sequence[Item], parts: Sequence[MetricValues], *, protocol: str, by: str, unknown: Sequence[str]
) -> MetricValues:
    """Join the figures of several heads over all photos that are asked by any; others have weight 0."""
    asked = {query for part in parts for query in part.queries}
    queries = [item for item in items if item.id in asked]
    rows = {item.id: row for row, item in enumerate(queries)}
    values: list[Float64] = []
    counts: list[Float64] = []
    for part in parts:
        assert part.counts is not None
        places = [rows[query] for query in part.queries]
        for whole, of_part in ((values, part.values), (counts, part.counts)):
            spread = np.zeros((len(queries), len(part.metrics)))
            spread[places] = of_part
            whole.append(spread)
    return replace(
        parts[0],
        protocol=protocol,
        metrics=tuple(name for part in parts for name in part.metrics),
        queries=[item.id for item in queries],
        by=by,
        categories=[category_in(item, by, unknown=unknown) for item in queries],
        values=np.concatenate(values, axis=1),
        counts=np.concatenate(counts, axis=1),
        notes=tuple(note for part in parts for note in part.notes),
    )
