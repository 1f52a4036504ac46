"""Evaluation of search by words: `words`, phrases and titles alone, and `changed-words`, beside an item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.figures import Ranking, named
from lookalike.evaluation.metric_values import NO_CATEGORY, MetricValues
from lookalike.evaluation.metrics import graded_relevance, hit_rate_at_k, precision_at_k
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.task import UNKNOWN, category_of, product_groups, value_of
from lookalike.evaluation.word_queries import LEAST_ITEMS, changes_of, label_words, phrases_of, titles_of
from lookalike.evaluation.word_search import K, WordSearch, word_search
from lookalike.evaluation.wordings import WORDINGS
from lookalike.gallery.request import HYBRID, VISUAL
from lookalike.retrieval.text_query import WEIGHT
from lookalike.spaces import resolve_weights
from lookalike.types import Bool, Int64, Item

if TYPE_CHECKING:
    from lookalike.evaluation.evaluator import EmbeddedItems
    from lookalike.text.encoder import TextEncoder

OF_PHRASES: Final = ("precision@1", "ndcg@10", "hit_rate@10")
TITLE_DEPTHS: Final = (1, 10)
"""The k of the hit rates of titles."""

OWN_TITLE: Final = {VISUAL: "own title", HYBRID: "own title, hybrid"}

NEW_VALUE, OTHERS_KEPT, BOTH = PARTS = "new value", "others kept", "both"

Figures: TypeAlias = dict[str, tuple[float, float]]
"""Values of a query by metric, with their weights in the mean."""


def measure_in_words(
    items: Sequence[Item],
    embedded: EmbeddedItems,
    encoder: TextEncoder,
    *,
    protocol: Protocol,
    weights: Mapping[str, float] | None = None,
    text_weight: float | None = None,
    unknown: Sequence[str] = UNKNOWN,
    category: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[MetricValues, dict[str, float]]:
    """Measure search by words, with vectors of the items.

    Args:
        items: n items that take part.
        embedded: Their vectors.
        encoder: Text encoder of the model of the vectors.
        protocol: `words` or `changed-words`, with the attributes of the labels.
        weights: Weights of the spaces by name; None takes the stored or default ones.
        text_weight: Weight of the words beside a photo; None is that of a search.
        unknown: Attribute values that mean "unknown".
        category: Attribute for the figures by category; None chooses one.
        progress: Called with the number of searches done and in all.

    Returns:
        Values of the metrics, and the weights of the spaces.

    Raises:
        UsageError: The items do not suit the protocol.
        UnknownNameError: A name is not an attribute or a space.
        MismatchError: The text encoder belongs to another photo model.
    """
    resolved = resolve_weights(weights, embedded.spaces, stored=embedded.stored_weights)
    measure = measure_words if protocol.name == "words" else measure_changes
    with word_search(items, embedded, encoder, weights=resolved, text_weight=text_weight, progress=progress) as search:
        found = measure(search, protocol.words, protocol=str(protocol), unknown=unknown, category=category)
    return found, resolved


def measure_words(
    search: WordSearch,
    fields: Sequence[str],
    *,
    protocol: str,
    unknown: Sequence[str] = UNKNOWN,
    category: str | None = None,
    seed: int = 0,
) -> MetricValues:
    """Measure search by words alone: phrases of labels in several wordings, and titles.

    An answer to a phrase is right if it has all its labels, and its grade is the number of leading labels that it has.
    An answer to a title is right if it has that title.

    Args:
        search: Search among the items.
        fields: Attributes of the labels, the leading one first; none measures titles alone.
        protocol: Name of the protocol.
        unknown: Attribute values that mean "unknown".
        category: Attribute for the figures by category; None is the leading field, or is chosen.
        seed: Seed of the synonyms and the intervals.

    Raises:
        UsageError: There is neither a phrase nor a title.
        UnknownNameError: A name is not an attribute.
    """
    items = search.items
    by = category_of(items, category or (fields[0] if fields else None), unknown=unknown)
    labels = label_words(items, fields, unknown=unknown)
    phrases, rare = phrases_of(labels, search.embedded.absent, seed=seed) if fields else ([], 0)
    titles = titles_of(items)
    if not phrases and not titles:
        titled = "no item has a title, an attribute such as `title`"
        wanted = "name attributes of labels: words=category,colour" if not fields else f"{rare:,} phrases are too rare"
        raise UsageError(f"the protocol {protocol!r} finds nothing to ask for: {titled}; {wanted}")
    total = sum(len(phrase.texts) for phrase in phrases) + len(OWN_TITLE) * len(titles)
    classes = labels.numbers()
    rows: dict[str, Figures] = {}
    categories: list[str] = []
    for phrase in phrases:
        example = phrase.items[0]
        grades = graded_relevance([column[[example]] for column in classes], classes)[0]
        found = {wording: search.answers(text, total=total) for wording, text in phrase.texts.items()}
        rows[", ".join(phrase.labels)] = _of_phrase(found, grades, levels=len(fields))
        categories.append(_category(items[example], by, unknown) if by in fields else NO_CATEGORY)
    for title in titles:
        is_own = np.isin(np.arange(len(items)), title.items)
        ways = {way: search.answers(title.text, total=total, text_search=way) for way in OWN_TITLE}
        rows[f"title: {title.text}"] = _of_title(ways, is_own)
        categories.append(_category(items[title.items[0]], by, unknown))
    notes = search.notes()
    if rare:
        notes.append(
            f"{rare:,} phrases are left out: fewer than {LEAST_ITEMS} items of the gallery have all their labels"
        )
    if not titles:
        notes.append("no item has a title, an attribute such as `title`: only phrases are asked")
    order = [*OF_PHRASES, *(f"{name}[{wording}]" for wording in WORDINGS for name in OF_PHRASES)]
    order += [f"hit_rate@{k}[{name}]" for name in OWN_TITLE.values() for k in TITLE_DEPTHS]
    return _metric_values(protocol, rows, categories, order=order, by=by, gallery=len(items), notes=notes, seed=seed)


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
    items = search.items
    by = category_of(items, category or fields[0], unknown=unknown)
    labels = label_words(items, fields, unknown=unknown)
    groups = product_groups(items, unknown=unknown)
    changes, without = changes_of(labels, search.embedded.absent, groups, seed=seed)
    if not changes:
        raise UsageError(
            f"no two of the {len(items):,} items of different products differ in one of {', '.join(fields)} alone"
        )
    classes = np.stack(labels.numbers())
    sizes = np.bincount(groups)
    rows: dict[str, Figures] = {}
    best: list[float] = []
    for change in changes:
        found = search.answers(
            change.text, total=len(changes), item=change.item, k=K + int(sizes[groups[change.item]]) - 1
        )
        found = found[groups[found] != groups[change.item]][:K]
        is_new = classes[change.field] == classes[change.field, change.target]
        same = classes == classes[:, [change.item]]
        is_kept = np.delete(same, change.field, axis=0).all(axis=0)
        right = {NEW_VALUE: is_new, OTHERS_KEPT: is_kept, BOTH: is_new & is_kept}
        values = {name: float(precision_at_k(mask[found][np.newaxis], K)[0]) for name, mask in right.items()}
        name = fields[change.field]
        rows[f"{items[change.item].id}, {name}: {change.label}"] = {
            metric: (value, 1.0)
            for part, value in values.items()
            for metric in (f"precision@{K}[{part}]", f"precision@{K}[{name}: {part}]")
        }
        possible = right[BOTH] & (groups != groups[change.item]) & ~search.embedded.absent
        best.append(min(K, int(possible.sum())) / K)
    weight = WEIGHT if search.text_weight is None else search.text_weight
    notes = [
        f"weight of the words beside the photo: {weight:g}",
        f"the gallery allows a precision@{K}[{BOTH}] of {np.mean(best):.4f} at most",
        *(f"{count:,} items have no change of {name!r} that another item shows" for name, count in without.items()),
        *search.notes(),
    ]
    categories = [_category(items[change.item], by, unknown) for change in changes]
    order = [f"precision@{K}[{part}]" for part in (*PARTS, *(f"{name}: {part}" for name in fields for part in PARTS))]
    return _metric_values(protocol, rows, categories, order=order, by=by, gallery=len(items), notes=notes, seed=seed)


def _of_phrase(found: Mapping[str, Int64], grades: Int64, *, levels: int) -> Figures:
    """Figures of a phrase: of all its wordings together, whose mean has their number as weight, and of each.

    Args:
        found: Places of the answers by wording.
        grades: (n,) int64 grades of the items.
        levels: Highest grade.
    """
    totals = np.array([[int((grades >= level).sum()) for level in range(1, levels + 1)]])
    metrics = named(*OF_PHRASES, level=levels)
    values = {
        wording: {
            str(metric): float(metric.values(Ranking(grades[answers][np.newaxis], totals))[0]) for metric in metrics
        }
        for wording, answers in found.items()
    }
    figures: Figures = {
        name: (float(np.mean([each[name] for each in values.values()])), float(len(values))) for name in OF_PHRASES
    }
    for wording, each in values.items():
        figures |= {f"{name}[{wording}]": (value, 1.0) for name, value in each.items()}
    return figures


def _of_title(found: Mapping[str, Int64], is_own: Bool) -> Figures:
    """Figures of a title, by the way of searching.

    Args:
        found: Places of the answers by the way of searching.
        is_own: (n,) bool, items that have the title.
    """
    return {
        f"hit_rate@{k}[{OWN_TITLE[way]}]": (float(hit_rate_at_k(is_own[answers][np.newaxis], k)[0]), 1.0)
        for way, answers in found.items()
        for k in TITLE_DEPTHS
    }


def _category(item: Item, by: str, unknown: Sequence[str]) -> str:
    return (value_of(item, by, unknown=unknown) if by else None) or NO_CATEGORY


def _metric_values(
    protocol: str,
    rows: Mapping[str, Figures],
    categories: Sequence[str],
    *,
    order: Sequence[str],
    by: str,
    gallery: int,
    notes: Sequence[str],
    seed: int,
) -> MetricValues:
    """Values by query; a metric that is not of a query has no weight there, and one of no query is left out."""
    metrics = [name for name in order if any(name in figures for figures in rows.values())]
    cells = np.array([[figures.get(metric, (0.0, 0.0)) for metric in metrics] for figures in rows.values()])
    return MetricValues(
        protocol=protocol,
        metrics=tuple(metrics),
        queries=list(rows),
        gallery=gallery,
        by=by,
        categories=categories,
        values=cells[:, :, 0],
        counts=cells[:, :, 1],
        notes=tuple(notes),
        seed=seed,
    )
