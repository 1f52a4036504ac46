"""Evaluation of search by words: `words`, phrases and titles alone, and `changed-words`, beside an item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lookalike.catalogue.benchmark import Benchmark
from lookalike.evaluation.changed_words import measure_changes
from lookalike.evaluation.metric_values import MetricValues
from lookalike.evaluation.modified_photos import measure_modifications
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.task import UNKNOWN
from lookalike.evaluation.word_search import word_search
from lookalike.evaluation.words_alone import measure_words
from lookalike.types import Item

if TYPE_CHECKING:
    from lookalike.evaluation.evaluator import EmbeddedItems
    from lookalike.text.encoder import TextEncoder


def measure_in_words(
    items: Sequence[Item],
    embedded: EmbeddedItems,
    encoder: TextEncoder,
    *,
    protocol: Protocol,
    benchmark: Benchmark | None = None,
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
        protocol: `words` or `changed-words`, with the attributes of the labels, or the name of the benchmark.
        benchmark: Benchmark of the items, which may have queries of its own.
        weights: Weights of the spaces by name; None takes those of a search.
        text_weight: Weight of the words beside a photo; None is that of a search.
        unknown: Attribute values that mean "unknown".
        category: Attribute for the figures by category; None chooses one.
        progress: Called with the number of searches done and in all.

    Returns:
        Values of the metrics, and the weights of the spaces that were used.

    Raises:
        UsageError: The items do not suit the protocol.
        UnknownNameError: A name is not an attribute or a space.
        MismatchError: The text encoder belongs to another photo model.
    """
    if benchmark is not None and benchmark.words is not None and benchmark.name == protocol.name:
        return measure_modifications(
            items,
            embedded,
            encoder,
            benchmark=benchmark,
            protocol=str(protocol),
            weights=weights,
            text_weight=text_weight,
            progress=progress,
        )
    measure = measure_words if protocol.name == "words" else measure_changes
    with word_search(items, embedded, encoder, weights=weights, text_weight=text_weight, progress=progress) as search:
        found = measure(search, protocol.words, protocol=str(protocol), unknown=unknown, category=category)
    return found, search.used
