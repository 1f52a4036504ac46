"""Search by words alone, measured: phrases of labels in several wordings, and titles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.figures import Ranking, named
from lookalike.evaluation.metric_values import NO_CATEGORY, Figures, MetricValues, table_of
from lookalike.evaluation.metrics import graded_relevance, hit_rate_at_k
from lookalike.evaluation.task import UNKNOWN, category_in, category_of
from lookalike.evaluation.word_queries import LEAST_ITEMS, label_words, phrases_of, titles_of
from lookalike.evaluation.word_search import WordSearch
from lookalike.evaluation.wordings import WORDINGS
from lookalike.gallery.request import HYBRID, VISUAL
from lookalike.types import Bool, Int64

OF_PHRASES: Final = ("precision@1", "ndcg@10", "hit_rate@10")

TITLE_DEPTHS: Final = (1, 10)
"""The k of the hit rates of titles."""

OWN_TITLE: Final = {VISUAL: "own title", HYBRID: "own title, hybrid"}
"""Names of what titles find, by the way of searching."""


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
        categories.append(category_in(items[example], by, unknown=unknown) if by in fields else NO_CATEGORY)
    for title in titles:
        is_own = np.isin(np.arange(len(items)), title.items)
        ways = {way: search.answers(title.text, total=total, text_search=way) for way in OWN_TITLE}
        rows[f"title: {title.text}"] = _of_title(ways, is_own)
        categories.append(category_in(items[title.items[0]], by, unknown=unknown))
    notes = search.notes()
    if rare:
        notes.append(
            f"{rare:,} phrases are left out: fewer than {LEAST_ITEMS} items of the gallery have all their labels"
        )
    if not titles:
        notes.append("no item has a title, an attribute such as `title`: only phrases are asked")
    order = [*OF_PHRASES, *(f"{name}[{wording}]" for wording in WORDINGS for name in OF_PHRASES)]
    order += [f"hit_rate@{k}[{name}]" for name in OWN_TITLE.values() for k in TITLE_DEPTHS]
    metrics, values, counts = table_of(list(rows.values()), order)
    return MetricValues(
        protocol=protocol,
        metrics=metrics,
        queries=list(rows),
        gallery=len(items),
        by=by,
        categories=categories,
        values=values,
        counts=counts,
        notes=tuple(notes),
        seed=seed,
    )


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
    figures = {
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
