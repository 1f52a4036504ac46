"""Answers with the features of their matches, as arrays that a ranking is learned from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lookalike.evaluation.metrics import Float64
from lookalike.gallery.learned_ranking import ATTRIBUTE, POPULARITY, SCORE
from lookalike.retrieval.match_features import has_attribute, standardised
from lookalike.types import Bool
from lookalike.usage.clicks import DEEPEST, ClickLog, usable
from lookalike.usage.events_file import Done
from lookalike.usage.popularity import Popularity
from lookalike.usage.records import RELEVANT

CONSTANT = 1e-6
"""Spread at or below which a feature tells nothing."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer that can be learned from.

    Attributes:
        values: (K, F) float64 features of its matches without the popularity; nan where one is unknown.
        wanted: (K,) bool.
        relevant: (K,) bool, which of them a learned ranking would order; the others come behind these.
        keys: K products, or ids, that popularity is counted by.
        is_complete: Whether all F features were remembered of it.
    """

    values: Float64
    wanted: Bool
    relevant: Bool
    keys: Sequence[str]
    is_complete: bool


@dataclass(frozen=True, slots=True)
class RankingLog:
    """Answers in the order of time.

    Attributes:
        names: Names of the F features, the cosines first, without the popularity.
        answers: Answers.
    """

    names: Sequence[str]
    answers: Sequence[Shown]

    def __len__(self) -> int:
        return len(self.answers)

    @property
    def wanted(self) -> int:
        """Number of matches that were wanted."""
        return sum(int(answer.wanted.sum()) for answer in self.answers)

    def part(self, which: slice) -> RankingLog:
        """Some of the answers."""
        return RankingLog(self.names, self.answers[which])

    def where(self, which: Sequence[bool]) -> RankingLog:
        """Those of the answers that a mask takes."""
        return RankingLog(self.names, [answer for answer, taken in zip(self.answers, which, strict=True) if taken])

    def chosen(self, names: Sequence[str]) -> RankingLog:
        """The same answers with some of the features."""
        columns = [self.names.index(name) for name in names]
        return RankingLog(names, [replace(answer, values=answer.values[:, columns]) for answer in self.answers])

    def spreads(self) -> Float64:
        """Standard deviation of each feature within the answers, (F,); 0 of one that is never known."""
        squares, count = np.zeros(len(self.names)), np.zeros(len(self.names))
        for answer in self.answers:
            known = ~np.isnan(answer.values)
            numbers = np.where(known, answer.values, 0.0)
            means = numbers.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
            squares += np.square(np.where(known, numbers - means, 0.0)).sum(axis=0)
            count += known.sum(axis=0)
        found: Float64 = np.sqrt(squares / np.maximum(count, 1))
        return found

    def told(self, attributes: Collection[str]) -> tuple[RankingLog, Float64]:
        """The same answers with the features that tell something, and the spreads of these.

        Args:
            attributes: Attributes of the gallery; features of others are left out, and those that do not differ within
                answers.
        """
        spreads = self.spreads()
        given = [name.removeprefix(ATTRIBUTE) for name in self.names]
        are_there = [
            not name.startswith(ATTRIBUTE) or has_attribute(term, attributes)
            for name, term in zip(self.names, given, strict=True)
        ]
        kept = (spreads > CONSTANT) & np.array(are_there)
        names = [name for name, is_kept in zip(self.names, kept, strict=True) if is_kept]
        return self.chosen(names), spreads[kept]

    def clicks(self, spreads: Float64, popularity: Sequence[Sequence[float]] | None = None) -> ClickLog:
        """As arrays padded to K matches, with the features in spreads.

        Args:
            spreads: (F,) spread of each feature.
            popularity: Popularity of the matches of each answer, a feature more; None is none.
        """
        deepest = max((len(answer.wanted) for answer in self.answers), default=0)
        names = [*self.names] if popularity is None else [*self.names, POPULARITY]
        log = ClickLog(
            names,
            np.zeros((len(self), deepest, len(names))),
            np.zeros((len(self), deepest), dtype=np.bool_),
            np.zeros((len(self), deepest), dtype=np.bool_),
        )
        for row, answer in enumerate(self.answers):
            count = len(answer.wanted)
            log.scores[row, :count, : len(self.names)] = standardised(answer.values, self.names, spreads.tolist())
            if popularity is not None:
                column = np.array(popularity[row])
                log.scores[row, :count, -1] = column - column.mean()
            log.shown[row, :count] = True
            log.wanted[row, :count] = answer.wanted
        return log

    def relevant(self) -> Bool:
        """Which matches a learned ranking would order, (Q, K) bool."""
        deepest = max((len(answer.wanted) for answer in self.answers), default=0)
        found = np.zeros((len(self), deepest), dtype=np.bool_)
        for row, answer in enumerate(self.answers):
            found[row, : len(answer.relevant)] = answer.relevant
        return found

    def popularity(self, popularity: Popularity, examination: Float64 | None = None) -> list[list[float]]:
        """Popularity of the matches of each answer.

        Args:
            popularity: Popularity of the time before.
            examination: (K,) probability that a match is looked at; each answer is counted after it was looked up, so
                that no click tells of itself. None counts none of them.
        """
        found = []
        for answer in self.answers:
            found.append([popularity.of(key) for key in answer.keys])
            if examination is not None:
                popularity.add(answer.keys, answer.wanted, examination[: len(answer.keys)])
        return found


def ranking_log(
    searches: Iterable[Done], *, spaces: Sequence[str], model: str, names: Sequence[str] | None = None
) -> RankingLog:
    """Answers that a ranking can be learned from: those of `click_log` whose features were remembered.

    Where an answer was remembered without one of the features, it is unknown there.

    Args:
        searches: Searches with their events, in the order of time.
        spaces: Names of the gallery's spaces with a weight.
        model: Model of the gallery.
        names: Features of labels and attributes; None are those of the newest answer.
    """
    found = [one for one in usable(searches, spaces=spaces, model=model) if one.done.search.features is not None]
    last = found[-1].done.search.features if found else None
    if names is None:
        names = [] if last is None else [name for name in last.names if name != RELEVANT]
    answers = []
    for one in found:
        features = one.done.search.features
        if features is None:
            continue
        columns = {name: features.values[:DEEPEST, place] for place, name in enumerate(features.names)}
        unknown = np.full(len(one.wanted), np.nan)
        values = np.column_stack([one.cosines, *(columns.get(name, unknown) for name in names)])
        is_complete = columns.keys() >= {*names}
        answers.append(Shown(values, one.wanted, columns[RELEVANT] > 0, features.keys[:DEEPEST], is_complete))
    return RankingLog([*(SCORE + space for space in spaces), *names], answers)
