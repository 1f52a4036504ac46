"""Search by an item and words that change one of its labels, measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.metric_values import Figures, MetricValues, table_of
from lookalike.evaluation.metrics import precision_at_k
from lookalike.evaluation.task import UNKNOWN, category_in, category_of, product_groups
from lookalike.evaluation.word_queries import Change, changes_of, label_words
from lookalike.evaluation.word_search import K, WordSearch
from lookalike.retrieval.text_query import WEIGHT
from lookalike.types import Bool, Int64

NEW_VALUE, OTHERS_KEPT, BOTH = PARTS = "new value", "others kept", "both"

TEN_EXIST: Final = "ten exist"
"""Part of the names of figures of the changes for which ten items have both."""


def measure_changes(
    search: WordSearch,
    fields: Sequence[str],
    *,
    protocol: str,
    unknown: Sequence[str] = UNKNOWN,
    category: str | None = None,
    seed: int = 0,
) -> MetricValues:
    """Measure search by an item and words that change one of its labels; items of its product never answer.

    Args:
        search: Search among the items.
        fields: Attributes of the labels, the leading one first.
        protocol: Name of the protocol.
        unknown: Attribute values that mean "unknown".
        category: Attribute for the figures by category; None is the leading field.
        seed: Seed of the new labels and the intervals.

    Raises:
        UsageError: No item has all labels and another one that differs in a single one.
        UnknownNameError: A name is not an attribute.

    Source: after Wu et al. 2021, Fashion IQ: A New Dataset Towards Retrieving Images by Natural Language Feedback; the
        words name a label of the target instead of what people wrote about it.
    """
    items, absent = search.items, search.embedded.absent
    by = category_of(items, category or fields[0], unknown=unknown)
    labels = label_words(items, fields, unknown=unknown)
    groups = product_groups(items, unknown=unknown)
    changes, without = changes_of(labels, absent, groups, seed=seed)
    if not changes:
        raise UsageError(
            f"no two of the {len(items):,} items of different products differ in one of {', '.join(fields)} alone"
        )
    classes = np.stack(labels.numbers())
    sizes = np.bincount(groups)
    rows: dict[str, Figures] = {}
    possible: list[int] = []
    for change in changes:
        is_other = groups != groups[change.item]
        deep = K + int(sizes[groups[change.item]]) - 1  # all items of its own product may come first
        found = search.answers(change.text, total=len(changes), item=change.item, k=deep)
        right = _right(change, classes)
        possible.append(int((right[BOTH] & is_other & ~absent).sum()))
        rows[f"{items[change.item].id}, {fields[change.field]}: {change.label}"] = {
            f"precision@{K}[{prefix}{part}{suffix}]": (float(precision_at_k(mask[np.newaxis], K)[0]), 1.0)
            for part, mask in ((part, mask[found[is_other[found]]]) for part, mask in right.items())
            for prefix, suffix in (("", ""), (f"{fields[change.field]}: ", ""), ("", f", {TEN_EXIST}"))
            if not suffix or possible[-1] >= K
        }
    weight = WEIGHT if search.text_weight is None else search.text_weight
    reachable = np.minimum(possible, K).mean() / K
    notes = [
        f"weight of the words beside the photo: {weight:g}",
        f"the gallery allows a precision@{K}[{BOTH}] of {reachable:.4f} at most; ten items have both for "
        f"{sum(count >= K for count in possible):,} queries",
        *(f"{count:,} items have no change of {name!r} that another item shows" for name, count in without.items()),
        *search.notes(),
    ]
    around = [("", ""), ("", f", {TEN_EXIST}"), *((f"{name}: ", "") for name in fields)]
    order = [f"precision@{K}[{prefix}{part}{suffix}]" for prefix, suffix in around for part in PARTS]
    metrics, values, counts = table_of(list(rows.values()), order)
    return MetricValues(
        protocol=protocol,
        metrics=metrics,
        queries=list(rows),
        gallery=len(items),
        by=by,
        categories=[category_in(items[change.item], by, unknown=unknown) for change in changes],
        values=values,
        counts=counts,
        notes=tuple(notes),
        seed=seed,
    )


def _right(change: Change, classes: Int64) -> dict[str, Bool]:
    """Items that are right in each of `PARTS`, (n,) bool.

    Args:
        change: Change of a label.
        classes: (F, n) int64 class numbers of the labels; -1 is unknown.
    """
    is_new = classes[change.field] == classes[change.field, change.target]
    others = np.delete(classes, change.field, axis=0)
    is_kept = (others == others[:, [change.item]]).all(axis=0)
    return {NEW_VALUE: is_new, OTHERS_KEPT: is_kept, BOTH: is_new & is_kept}
