"""What is remembered of a search, and events: what a visitor did with an item of its answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.answers import Answer
from lookalike.types import Float32

EVENT_TYPES: Final = ("view", "click", "cart", "buy", "like", "less")
"""Types of events; `less` says that the item is not what was looked for."""

WANTED: Final = ("click", "cart", "buy", "like")
"""Types of events that say that the item was wanted."""

MOST_MATCHES: Final = 100
"""Largest number of matches of an answer that are remembered; events are taken for these."""

GOOD: Final = 0.5
"""Relevance from which a match counts as good, where the search gave no `min_relevance`: rather of the same kind than
not."""

DIGITS: Final = 6


def new_query_id() -> str:
    """A random id of a query, which nobody can guess: 128 bits, 22 characters of letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class Interleaved:
    """How the answer of a search was interleaved from two rankings.

    Attributes:
        rival: Weights of the ranking B; those of A are the search's own.
        teams: For each match `A` or `B`, the ranking that it was picked from.
    """

    rival: Mapping[str, float]
    teams: str


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """What is remembered of a search; no photo, and words only where the settings allow it.

    Attributes:
        query_id: Id that its answer has.
        at: Time in seconds since 1970.
        kind: `photo`, `item`, `words`, `photo and words`, `item and words` or `several`.
        is_plain: Whether the order of the answer is that of the weighted mean of the cosines, or interleaved from two
            of these, and the answer is the first page: such answers can be learned from.
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
    answer: Answer, query_id: str, *, at: float, keep_words: bool, interleaved: Interleaved | None = None
) -> SearchRecord:
    """What is remembered of an answer.

    Args:
        answer: Answer as it is sent.
        query_id: Its id.
        at: Time in seconds since 1970.
        keep_words: Whether the words of the query may be kept.
        interleaved: How it was interleaved.
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
    )


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
