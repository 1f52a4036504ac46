"""The right answers, computed from the features themselves: what an index says is never believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from lookalike.benchmarking import original
from lookalike.benchmarking.features import SPACES, Drawing, Features
from lookalike.errors import LookalikeError
from lookalike.spaces import concatenate, scaled_query
from lookalike.types import Float32, Int64

Float64 = npt.NDArray[np.float64]

TIE = 1e-6
"""Scores that differ by less are equal: a row that ties with the last right answer is right too."""

SPARE = 50
"""Rows beyond the k best by float32 that are scored in float64 too, so that rounding cannot push a right one out."""

BLOCK = 50
"""Queries that are compared with rows at once; it bounds the memory."""


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """What answers are held against.

    Attributes:
        score: The scores of rows for the query of a number, in float64; -inf where all that is known is that the row
            is not among the best.
        needed: (Q,) float64, the score of each query's k-th best row.
        k: How many right answers there are.
    """

    score: Callable[[int, Int64], Float64]
    needed: Float64
    k: int

    def recall(self, answers: Sequence[Int64]) -> float:
        """The fraction of the k right answers that were found, a tie with the last one counting as right.

        Args:
            answers: For each query the rows that were answered, best first, -1 where there was none.

        Raises:
            LookalikeError: A row was answered twice.
        """
        right = 0
        for query, answer in enumerate(answers):
            rows = answer[answer >= 0][: self.k]
            if len(np.unique(rows)) < len(rows):
                raise LookalikeError(f"query {query} was answered with the same row twice: {rows.tolist()}")
            right += int(np.count_nonzero(self.score(query, rows) >= self.needed[query] - TIE))
        return right / (self.k * len(answers))

    def check(self, answers: Sequence[Int64], said: Sequence[Float32]) -> None:
        """Make sure that the scores that came with answers are those of their rows.

        Raises:
            LookalikeError: They are not.
        """
        for query, (rows, theirs) in enumerate(zip(answers, said, strict=True)):
            real = rows >= 0
            scores, said_here = self.score(query, rows[real]), theirs[real]
            known = np.isfinite(scores)
            if not np.allclose(scores[known], said_here[known], atol=1e-5):
                raise LookalikeError(f"query {query} was answered with wrong scores: {said_here} instead of {scores}")


def from_cosines(features: Features, weights: Mapping[str, float], *, k: int) -> GroundTruth:
    """By our score, the weighted mean of cosines."""
    shares = {name: weight / sum(weights.values()) for name, weight in weights.items()}

    def score(query: int, rows: Int64) -> Float64:
        scores = np.zeros(len(rows))
        for name, share in shares.items():
            scores += share * (features.gallery[name][rows].astype(np.float64) @ features.queries[name][query])
        return scores

    def roughly(asked: Mapping[str, Float32]) -> Float32:
        scores = np.zeros((len(asked["deep"]), len(features)), dtype=np.float32)
        for name, share in shares.items():
            scores += np.float32(share) * (asked[name] @ features.gallery[name].T)
        return scores

    return _truth(features, score, roughly, k=k)


def from_original(features: Features, *, k: int) -> GroundTruth:
    """By the original's score, minus a weighted sum of distances."""
    weights = {"deep": np.float32(1), "color-original": np.float32(original.COLOR_WEIGHT)}

    def score(query: int, rows: Int64) -> Float64:
        asked = features.query(query)
        return original.scores(asked, features.gallery["deep"][rows], features.gallery["color-original"][rows])

    def roughly(asked: Mapping[str, Float32]) -> Float32:
        scores = np.zeros((len(asked["deep"]), len(features)), dtype=np.float32)
        for name, weight in weights.items():
            squared = 2 - 2 * (asked[name] @ features.gallery[name].T)  # of unit rows
            scores -= weight * np.sqrt(np.maximum(squared, 0))
        return scores

    return _truth(features, score, roughly, k=k)


@dataclass(frozen=True, slots=True)
class FilteredQuery:
    """One of many that are answered in one pass over the rows.

    Attributes:
        query: The number of its features.
        lots: Only rows whose lot is among these may answer; None allows all.
    """

    query: int
    lots: range | None = None

    def passing(self, lots: npt.NDArray[np.int16]) -> Int64 | None:
        """Which of some rows may answer; None for all of them."""
        if self.lots is None:
            return None
        return np.flatnonzero((lots >= self.lots.start) & (lots < self.lots.stop))


@dataclass(frozen=True, slots=True)
class BestRows:
    """The best rows for one question, among those seen so far.

    Attributes:
        rows: (M,) int64, best first.
        scores: (M,) float64.
    """

    rows: Int64
    scores: Float64

    def rivals(self, estimates: Float32, passing: Int64 | None, *, keep: int) -> Int64:
        """Rows of a block that may be among the best.

        Args:
            estimates: (B,) float32, their scores.
            passing: Which of them may answer; None for all.
            keep: How many the best are.
        """
        values = estimates if passing is None else estimates[passing]
        floor = self.scores[-1] - TIE if len(self.scores) == keep else -np.inf
        found = np.flatnonzero(values >= floor)
        if len(found) > keep:
            found = found[np.argpartition(values[found], -keep)[-keep:]]
        return found if passing is None else passing[found]

    def joined(self, rows: Int64, scores: Float64, *, keep: int) -> BestRows:
        """The best of these and of further rows."""
        every, values = np.concatenate([self.rows, rows]), np.concatenate([self.scores, scores])
        order = np.argsort(-values, kind="stable")[:keep]
        return BestRows(every[order], values[order])

    def score(self, rows: Int64) -> Float64:
        """The scores of rows; -inf of those that are not among the best."""
        known = dict(zip(self.rows.tolist(), self.scores.tolist(), strict=True))
        return np.array([known.get(row, -np.inf) for row in rows.tolist()])


def best_of_drawing(
    drawing: Drawing, questions: Sequence[FilteredQuery], weights: Mapping[str, float], *, k: int
) -> list[BestRows]:
    """The k best rows for each question and a few more, by our score, in one pass over rows drawn block by block."""
    numbers = [question.query for question in questions]
    asked = scaled_query({name: rows[numbers] for name, rows in drawing.queries.items()}, weights, SPACES)
    best = [BestRows(np.empty(0, dtype=np.int64), np.empty(0)) for _ in questions]
    for at, block in drawing.blocks():
        rows = concatenate(block, SPACES)
        for start in range(0, len(questions), BLOCK):
            for number, estimates in enumerate(asked[start : start + BLOCK] @ rows.T, start=start):
                passing = questions[number].passing(drawing.lots[at])
                seen = best[number].rivals(estimates, passing, keep=k + SPARE)
                scores = rows[seen].astype(np.float64) @ asked[number].astype(np.float64)
                best[number] = best[number].joined(seen + at.start, scores, keep=k + SPARE)
    return best


def from_best(best: Sequence[BestRows], *, k: int) -> GroundTruth:
    """Hold answers against the best rows of each question."""
    return GroundTruth(partial(_score_among, best), np.array([found.scores[:k][-1] for found in best]), k)


def _score_among(best: Sequence[BestRows], question: int, rows: Int64) -> Float64:
    return best[question].score(rows)


def _truth(
    features: Features,
    score: Callable[[int, Int64], Float64],
    roughly: Callable[[Mapping[str, Float32]], Float32],
    *,
    k: int,
) -> GroundTruth:
    """Find the k-th best score of each query: a few more than k rows by float32, and those again in float64."""
    queries, gallery = len(features.queries["deep"]), len(features)
    k = min(k, gallery)
    near = min(k + SPARE, gallery)
    needed = []
    for start in range(0, queries, BLOCK):
        asked = {name: rows[start : start + BLOCK] for name, rows in features.queries.items()}
        candidates = np.argpartition(roughly(asked), -near, axis=1)[:, -near:]
        needed += [np.sort(score(start + place, rows))[-k] for place, rows in enumerate(candidates)]
    return GroundTruth(score, np.asarray(needed), k)
