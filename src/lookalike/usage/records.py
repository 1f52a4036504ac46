"""What is remembered of a search, and events: what a visitor did with an item of its answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.answers import Answer, Match
from lookalike.retrieval.arrangement import relevant_places
from lookalike.retrieval.match_features import QueryLabels, features_of_items, names_of_features, popularity_key
from lookalike.types import Float32

EVENT_TYPES: Final = ("view", "click", "cart", "buy", "like", "less")
"""Types of events; `less` says that the item is not what was looked for."""

WANTED: Final = ("click", "cart", "buy", "like")
"""Types of events that say that the item was wanted."""

MOST_MATCHES: Final = 100
"""Largest number of matches of an answer that are remembered; events are taken for these."""

RELEVANT: Final = "relevant"
"""Name of what is remembered as a feature, and is none: whether the match is relevant, 1 or 0."""

GOOD: Final = 0.5
"""Relevance from which a match counts as good, where the search gave no `min_relevance`: rather of the same kind than
not."""

DIGITS: Final = 6


def new_query_id() -> str:
    """A random id of a query, which cannot be guessed: 128 bits, 22 characters of letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class Interleaved:
    """How the answer of a search was interleaved from two rankings.

    Attributes:
        rival: Weights of the ranking B; those of A are the search's own.
        teams: For each match `A` or `B`, the ranking that it was picked from.
        rival_ranking: Learned ranking of B; None is the order of the similarity. That of A is the search's own.
    """

    rival: Mapping[str, float]
    teams: str
    rival_ranking: str | None = None


@dataclass(frozen=True, slots=True)
class MatchFeatures:
    """What a learned ranking may go by beside the cosines; see `lookalike.retrieval.match_features`.

    Attributes:
        names: Names of F features; the first one is `RELEVANT`, which says whether a ranking would move the match.
        values: (K, F) float32 by match; nan where one is unknown.
        keys: (K,) product of each match, or its id: what popularity is counted by.
    """

    names: Sequence[str]
    values: Float32
    keys: Sequence[str]

    @classmethod
    def of(
        cls, matches: Sequence[Match], attributes: Sequence[str], shown: QueryLabels, *, least: float | None = None
    ) -> MatchFeatures:
        """Features of the first matches of an answer.

        Args:
            matches: Matches.
            attributes: Attributes that count, such as `price` and `brand:Acme`.
            shown: What the query shows.
            least: Least relevance that the search gave; None if it gave none.
        """
        first, names = matches[:MOST_MATCHES], names_of_features(attributes)
        items = [match.item for match in first]
        values = np.column_stack([are_relevant(first, least=least), features_of_items(items, names, shown)]).astype(
            np.float32
        )
        return cls([RELEVANT, *names], values, [popularity_key(item) for item in items])


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """What is remembered of a search; no photo, and words only where the settings allow it.

    Attributes:
        query_id: Id that its answer has.
        at: Time in seconds since 1970.
        kind: `photo`, `item`, `words`, `photo and words`, `item and words` or `several`.
        is_plain: Whether the order of the answer is that of the weighted mean of the cosines, of a learned ranking, or
            interleaved from two of these, and the answer is the first page: such answers can be learned from.
        item: Id of the query item.
        words: Words of the query; None if there were none, or if they are not to be kept.
        model: Model of the gallery, with its fingerprint.
        weights: Weight of each space.
        garment: Kind of the garment that was searched with; None if it is unknown.
        offset: Number of matches that were left out.
        ids: (K,) ids of the matches, best first.
        scores: (K, S) cosines by `spaces`; nan where one is unknown.
        spaces: Names of the S spaces.
        best: Score of the first match; None without one.
        relevance: Relevance of the first match; None if it is unknown.
        is_good: Whether there is a good match; None if that is unknown.
        interleaved: How the answer was interleaved; None if it is the answer of one ranking.
        ranking: Learned ranking of the answer, with its fingerprint; None is the order of the similarity.
        features: What a learned ranking may go by; None if it was not remembered.
    """

    query_id: str
    at: float
    kind: str
    is_plain: bool
    item: str | None
    words: str | None
    model: str
    weights: Mapping[str, float]
    garment: str | None
    offset: int
    ids: Sequence[str]
    scores: Float32
    spaces: Sequence[str]
    best: float | None
    relevance: float | None
    is_good: bool | None
    interleaved: Interleaved | None = None
    ranking: str | None = None
    features: MatchFeatures | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What a visitor did with an item of an answer.

    Attributes:
        query_id: Id of the answer.
        type: One of `EVENT_TYPES`.
        item: Id of the item.
        rank: Rank at which it was shown; None is that of the answer.
    """

    query_id: str
    type: str
    item: str
    rank: int | None = None


def record_of(
    answer: Answer,
    query_id: str,
    *,
    at: float,
    keep_words: bool,
    interleaved: Interleaved | None = None,
    features: MatchFeatures | None = None,
) -> SearchRecord:
    """What is remembered of an answer.

    Args:
        answer: Answer as it is sent.
        query_id: Its id.
        at: Time in seconds since 1970.
        keep_words: Whether the words of the query may be kept.
        interleaved: How it was interleaved.
        features: What a learned ranking may go by.
    """
    query, matches = answer.query, answer.matches[:MOST_MATCHES]
    text = None if query.text is None else query.text.text
    names = ("photo", query.photo), ("item", query.item), ("words", text)
    kind = "several" if query.examples else " and ".join(name for name, value in names if value is not None)
    spaces = [name for name, weight in query.weights.items() if weight > 0]
    scores = np.array([[match.scores.get(name, np.nan) for name in spaces] for match in matches], dtype=np.float32)
    reordered = query.expand or query.rerank or query.diversity or query.sort or query.boost
    by_cosine = text is None and not (query.examples or query.metrics or reordered)
    return SearchRecord(
        query_id=query_id,
        at=at,
        kind=kind,
        is_plain=by_cosine and not query.offset and all(match.refined is None for match in matches),
        item=query.item,
        words=text if keep_words else None,
        model=query.model or "",
        weights=query.weights,
        garment=garment_of(answer),
        offset=query.offset or 0,
        ids=[match.item.id for match in matches],
        scores=scores.reshape(len(matches), len(spaces)),
        spaces=spaces,
        best=matches[0].score if matches else None,
        relevance=matches[0].relevance if matches else None,
        is_good=has_good_match(answer),
        interleaved=interleaved,
        ranking=query.ranking,
        features=features,
    )


def are_relevant(matches: Sequence[Match], *, least: float | None) -> list[bool]:
    """Which matches of a first page a learned ranking would order; see `lookalike.retrieval.arrangement`.

    Args:
        matches: Matches, the first page.
        least: Least relevance that the search gave; None if it gave none.
    """
    scores = np.array([match.score for match in matches], dtype=np.float32)
    known = [match.relevance for match in matches if match.relevance is not None]
    relevance = np.array(known) if matches and len(known) == len(matches) else None
    places = {*relevant_places(range(len(matches)), relevance, scores, least=least)}
    return [place in places for place in range(len(matches))]


def garment_of(answer: Answer) -> str | None:
    """Kind of the garment that was searched with: the chosen one, or what the photo most probably shows."""
    choice = answer.query.garment
    if choice is not None and choice.garment is not None:
        return choice.garment.kind
    shown = (answer.query.labels or {}).get("kind")
    return shown[0][0] if shown else answer.query.kind


def has_good_match(answer: Answer) -> bool | None:
    """Whether the first match is a good one; None if its relevance is unknown, or the page is not the first."""
    if answer.query.offset:
        return None
    if not answer.matches:
        return False
    best = answer.matches[0].relevance
    if best is None:
        return None
    return best >= (GOOD if answer.query.min_relevance is None else answer.query.min_relevance)
