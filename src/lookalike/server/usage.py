"""Answers of searches with their query ids: interleaved where the settings say so, counted, and remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Any, Final

from lookalike.answers import Answer, Match
from lookalike.errors import MismatchError
from lookalike.gallery.request import SearchRequest
from lookalike.retrieval.examples import Examples
from lookalike.retrieval.match_features import query_labels
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.presentation import public_answer
from lookalike.usage.events_file import now
from lookalike.usage.interleaving import team_draft
from lookalike.usage.records import Interleaved, MatchFeatures, has_good_match, new_query_id, record_of

RANDOM: Final = SystemRandom()


@dataclass(frozen=True, slots=True)
class Served:
    """Answer to send.

    Attributes:
        answer: The answer.
        interleaved: How it was interleaved; None if it is that of one ranking.
        features: What a learned ranking may go by; None if nothing is remembered.
    """

    answer: Answer
    interleaved: Interleaved | None = None
    features: MatchFeatures | None = None


def answered(context: GalleryContext, examples: Examples, options: SearchRequest, *, remember: bool = True) -> Served:
    """Answer a search; a share of those that are remembered, chosen at random, with two rankings.

    Args:
        context: Gallery.
        examples: What it is by.
        options: Its options.
        remember: Whether it is remembered where searches are.
    """
    if context.recorder is None or not remember:
        return Served(context.retriever.answer(examples, options, remote=False))
    served = ordered(context, examples, options)
    query, attributes = served.answer.query, context.settings.events_attributes
    shown = query_labels(query.item, query.labels, context.retriever.gallery)
    return replace(
        served, features=MatchFeatures.of(served.answer.matches, attributes, shown, least=query.min_relevance)
    )


def ordered(context: GalleryContext, examples: Examples, options: SearchRequest) -> Served:
    """Answer a search by its own ranking, or by two that are interleaved."""
    answer = context.retriever.answer(examples, options, remote=False)
    settings, by_ranking = context.settings, bool(context.settings.interleave_ranking)
    if not can_interleave(options, by_ranking=by_ranking):
        return Served(answer)
    if RANDOM.random() >= settings.interleave_share:
        return Served(answer)
    if by_ranking and examples.several:  # which no learned ranking orders
        return Served(answer)
    if by_ranking:
        options = replace(options, ranking=settings.interleave_ranking)
    else:
        rival = {name: settings.interleave_weights[name] for name in answer.query.weights}
        options = replace(options, weights=rival)
    try:
        other = context.retriever.answer(examples, options, remote=False)
    except MismatchError:  # no ranking is learned yet, or it was learned with another model
        return Served(answer)
    if by_ranking and other.query.ranking == answer.query.ranking:
        return Served(answer)
    return interleaved(answer, other, k=options.k)


def can_interleave(options: SearchRequest, *, by_ranking: bool) -> bool:
    """Whether a search gives neither weights nor a ranking, and is a first page in the usual order.

    Args:
        options: Search.
        by_ranking: Whether the other order is another ranking by the same weights; both find a product by the same
            photo then, so that answers of products can be interleaved, too.
    """
    plain = SearchRequest(
        k=options.k,
        where=options.where,
        index=options.index,
        probes=options.probes,
        min_relevance=options.min_relevance,
        same_kind=options.same_kind,
        box=options.box,
        garment=options.garment,
        group=options.group if by_ranking else None,
    )
    return replace(options, offset=options.offset or None) == plain


def interleaved(answer: Answer, other: Answer, *, k: int) -> Served:
    """One answer from two rankings of the same query; scores are those of the first one's weights.

    What the features of a learned ranking added is left out, since only some of the matches have it.
    """
    by_id = {match.item.id: match for match in (*other.matches, *answer.matches)}
    ids, teams = team_draft([*_ids(answer)], [*_ids(other)], k=k, random=RANDOM)
    weights = answer.query.weights
    matches = [
        replace(by_id[item], rank=rank, score=score_of(by_id[item], weights), similarity_rank=None, contributions={})
        for rank, item in enumerate(ids, start=1)
    ]
    took = {step: milliseconds + other.took_ms.get(step, 0.0) for step, milliseconds in answer.took_ms.items()}
    mixed = replace(answer, matches=matches, took_ms=took, no_good_match=answer.no_good_match and not matches)
    return Served(mixed, Interleaved(other.query.weights, teams, other.query.ranking))


def _ids(answer: Answer) -> list[str]:
    return [match.item.id for match in answer.matches]


def score_of(match: Match, weights: Mapping[str, float]) -> float:
    """Weighted mean of the cosines of a match."""
    total = sum(weights.values())
    return round(sum(weight * match.scores[name] for name, weight in weights.items() if weight) / total, 6)


def told(served: Served, context: GalleryContext, *, remember: bool = True) -> dict[str, Any]:
    """JSON of an answer with its query id; counts the search, and remembers it if the settings say so.

    Args:
        served: Answer.
        context: Gallery.
        remember: Whether it is remembered where searches are, and its quality counted.
    """
    answer, query_id = served.answer, new_query_id()
    query, best = answer.query, answer.matches[0] if answer.matches else None
    by_cosine = best is not None and not query.metrics and query.text is None and not query.offset
    context.metrics.searched(answer.took_ms)
    if remember:
        context.metrics.judged(
            context.name,
            is_good=has_good_match(answer),
            score=best.score if best is not None and by_cosine else None,
            relevance=None if best is None or query.offset else best.relevance,
        )
    if context.recorder is not None and remember:
        record = record_of(
            answer,
            query_id,
            at=now(),
            keep_words=context.settings.events_words,
            interleaved=served.interleaved,
            features=served.features,
        )
        context.recorder.record(record, answer.vectors if record.kind == "photo" else {})
    shown = public_answer(answer)
    shown["query"]["id"] = query_id
    if served.interleaved is not None:
        shown["query"]["interleaved"] = True
    return shown
