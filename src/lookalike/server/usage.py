"""Answers of searches with their query ids: interleaved where the settings say so, counted, and remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Any, Final

from lookalike.answers import Answer, Match
from lookalike.gallery.request import SearchRequest
from lookalike.retrieval.examples import Examples
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.presentation import public_answer
from lookalike.usage.events_file import now
from lookalike.usage.interleaving import team_draft
from lookalike.usage.records import Interleaved, has_good_match, new_query_id, record_of

RANDOM: Final = SystemRandom()


@dataclass(frozen=True, slots=True)
class Served:
    """Answer to send.

    Attributes:
        answer: The answer.
        interleaved: How it was interleaved; None if it is that of one ranking.
    """

    answer: Answer
    interleaved: Interleaved | None = None


def answered(context: GalleryContext, examples: Examples, options: SearchRequest) -> Served:
    """Answer a search; a share of them, chosen at random, with the rankings of two weightings."""
    answer = context.retriever.answer(examples, options, remote=False)
    settings = context.settings
    if context.recorder is None or not can_interleave(options) or RANDOM.random() >= settings.interleave_share:
        return Served(answer)
    rival = {name: settings.interleave_weights[name] for name in answer.query.weights}
    other = context.retriever.answer(examples, replace(options, weights=rival), remote=False)
    return interleaved(answer, other, k=options.k)


def can_interleave(options: SearchRequest) -> bool:
    """Whether a search gives no weights and is a first page in the order of the cosines."""
    plain = SearchRequest(
        k=options.k,
        where=options.where,
        index=options.index,
        probes=options.probes,
        min_relevance=options.min_relevance,
        same_kind=options.same_kind,
        box=options.box,
        garment=options.garment,
    )
    return replace(options, offset=options.offset or None) == plain


def interleaved(answer: Answer, other: Answer, *, k: int) -> Served:
    """One answer from two rankings of the same query; scores are those of the first one's weights."""
    by_id = {match.item.id: match for match in (*other.matches, *answer.matches)}
    ids, teams = team_draft([*_ids(answer)], [*_ids(other)], k=k, random=RANDOM)
    weights = answer.query.weights
    matches = [
        replace(by_id[item], rank=rank, score=score_of(by_id[item], weights)) for rank, item in enumerate(ids, start=1)
    ]
    took = {step: milliseconds + other.took_ms.get(step, 0.0) for step, milliseconds in answer.took_ms.items()}
    mixed = replace(answer, matches=matches, took_ms=took, no_good_match=answer.no_good_match and not matches)
    return Served(mixed, Interleaved(other.query.weights, teams))


def _ids(answer: Answer) -> list[str]:
    return [match.item.id for match in answer.matches]


def score_of(match: Match, weights: Mapping[str, float]) -> float:
    """Weighted mean of the cosines of a match."""
    total = sum(weights.values())
    return round(sum(weight * match.scores[name] for name, weight in weights.items() if weight) / total, 6)


def told(served: Served, context: GalleryContext) -> dict[str, Any]:
    """JSON of an answer with its query id; counts the search, and remembers it if the settings say so."""
    answer, query_id = served.answer, new_query_id()
    query, best = answer.query, answer.matches[0] if answer.matches else None
    by_cosine = best is not None and not query.metrics and query.text is None and not query.offset
    context.metrics.searched(answer.took_ms)
    context.metrics.judged(
        context.name,
        is_good=has_good_match(answer),
        score=best.score if best is not None and by_cosine else None,
        relevance=None if best is None or query.offset else best.relevance,
    )
    if context.recorder is not None:
        record = record_of(
            answer,
            query_id,
            at=now(),
            keep_words=context.settings.events_words,
            interleaved=served.interleaved,
        )
        context.recorder.record(record, answer.vectors if record.kind == "photo" else {})
    shown = public_answer(answer)
    shown["query"]["id"] = query_id
    if served.interleaved is not None:
        shown["query"]["interleaved"] = True
    return shown
