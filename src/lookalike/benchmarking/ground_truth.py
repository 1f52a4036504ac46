"""Ground truth of benchmarks, computed from the features independently of any index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from lookalike.benchmarking import original
from lookalike.benchmarking.features import SPACES, FeatureGenerator, Features
from lookalike.errors import LookalikeError
from lookalike.spaces import concatenate, scaled_query
from lookalike.types import Float32, Int64

Float64 = npt.NDArray[np.float64]

TIE = 1e-6
"""Scores that differ by less than this are equal; a row that ties with the last relevant one is relevant too."""

SPARE = 50
"""Number of rows after the k best in float32 that are scored in float64 too, so that rounding loses no relevant row."""

BLOCK = 50
"""Queries scored at once, which bounds the memory."""


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Ground truth that answers are compared with.

    Attributes:
        score: Function from the number of a query and rows to float64 scores; -inf for rows whose scores are unknown
            because they are not among the best.
        needed: (Q,) float64 score of the k-th best row of each query.
        k: Number of relevant rows of each query.
    """

    score: Callable[[int, Int64], Float64]
    needed: Float64
    k: int

    def recall(self, answers: Sequence[Int64]) -> float:
        """Compute recall@k; rows that tie with the k-th best are relevant.

        Args:
            answers: Rows in the answer to each query, best first; -1 for missing answers.

        Raises:
            LookalikeError: An answer has the same row twice.
        """
        right = 0
        for query, answer in enumerate(answers):
            rows = answer[answer >= 0][: self.k]
            if len(np.unique(rows)) < len(rows):
                raise LookalikeError(f"the answer to query {query} has the same row twice: {rows.tolist()}")
            right += int(np.count_nonzero(self.score(query, rows) >= self.needed[query] - TIE))
        return right / (self.k * len(answers))

    def check(self, answers: Sequence[Int64], said: Sequence[Float32]) -> None:
        """Check the scores of answers.

        Raises:
            LookalikeError: A score is not that of its row.
        """
        for query, (rows, theirs) in enumerate(zip(answers, said, strict=True)):
            real = rows >= 0
            scores, said_here = self.score(query, rows[real]), theirs[real]
            known = np.isfinite(scores)
            if not np.allclose(scores[known], said_here[known], atol=1e-5):
                raise LookalikeError(f"the answer to query {query} has wrong scores: {said_here} instead of {scores}")


def from_cosines(features: Features, weights: Mapping[str, float], *, k: int) -> GroundTruth:
    """Compute the ground truth of our score, the weighted mean of cosines."""
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
    """Compute the ground truth of the original's score, minus a weighted sum of distances."""
    weights = {"deep": np.float32(1), "color-original": np.float32(original.COLOR_WEIGHT)}

    def score(query: int, rows: Int64) -> Float64:
        asked = features.query(query)
        return original.scores(asked, features.gallery["deep"][rows], features.gallery["color-original"][rows])

    def roughly(asked: Mapping[str, Float32]) -> Float32:
        scores = np.zeros((len(asked["deep"]), len(features)), dtype=np.float32)
        for name, weight in weights.items():
            squared = 2 - 2 * (asked[name] @ features.gallery[name].T)  # squared L2 distance of unit vectors
            scores -= weight * np.sqrt(np.maximum(squared, 0))
        return scores

    return _truth(features, score, roughly, k=k)


@dataclass(frozen=True, slots=True)
class FilteredQuery:
    """A query with a filter on lots.

    Attributes:
        query: Number of the query.
        lots: Lots of the rows that pass the filter; None passes all.
    """

    query: int
    lots: range | None = None

    def passing(self, lots: npt.NDArray[np.int16]) -> Int64 | None:
        """Return the positions of the rows that pass, given the lot of each row; None if all pass."""
        if self.lots is None:
            return None
        return np.flatnonzero((lots >= self.lots.start) & (lots < self.lots.stop))


@dataclass(frozen=True, slots=True)
class BestRows:
    """Best rows for one filtered query among the blocks so far.

    Attributes:
        rows: (M,) int64, best first.
        scores: (M,) float64.
    """

    rows: Int64
    scores: Float64

    def rivals(self, estimates: Float32, passing: Int64 | None, *, keep: int) -> Int64:
        """Return the rows of a block that may be among the best.

        Args:
            estimates: (B,) float32 scores of the rows.
            passing: Positions of the rows that pass the filter; None passes all.
            keep: Number of best rows to keep.
        """
        values = estimates if passing is None else estimates[passing]
        floor = self.scores[-1] - TIE if len(self.scores) == keep else -np.inf
        found = np.flatnonzero(values >= floor)
        if len(found) > keep:
            found = found[np.argpartition(values[found], -keep)[-keep:]]
        return found if passing is None else passing[found]

    def joined(self, rows: Int64, scores: Float64, *, keep: int) -> BestRows:
        """Return the best of these and of further rows."""
        every, values = np.concatenate([self.rows, rows]), np.concatenate([self.scores, scores])
        order = np.argsort(-values, kind="stable")[:keep]
        return BestRows(every[order], values[order])

    def score(self, rows: Int64) -> Float64:
        """Return the scores of rows; -inf for rows that are not among the best."""
        known = dict(zip(self.rows.tolist(), self.scores.tolist(), strict=True))
        return np.array([known.get(row, -np.inf) for row in rows.tolist()])


def best_of_blocks(
    generator: FeatureGenerator, questions: Sequence[FilteredQuery], weights: Mapping[str, float], *, k: int
) -> list[BestRows]:
    """Find the k + `SPARE` best rows for each filtered query, by our score, in one pass over the blocks."""
    numbers = [question.query for question in questions]
    asked = scaled_query({name: rows[numbers] for name, rows in generator.queries.items()}, weights, SPACES)
    best = [BestRows(np.empty(0, dtype=np.int64), np.empty(0)) for _ in questions]
    for at, block in generator.blocks():
        rows = concatenate(block, SPACES)
        for start in range(0, len(questions), BLOCK):
            for number, estimates in enumerate(asked[start : start + BLOCK] @ rows.T, start=start):
                passing = questions[number].passing(generator.lots[at])
                seen = best[number].rivals(estimates, passing, keep=k + SPARE)
                scores = rows[seen].astype(np.float64) @ asked[number].astype(np.float64)
                best[number] = best[number].joined(seen + at.start, scores, keep=k + SPARE)
    return best


def from_best(best: Sequence[BestRows], *, k: int) -> GroundTruth:
    """Make the ground truth from the best rows of each filtered query."""
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
    """Find the k-th best score of each query: k + `SPARE` candidates by float32, rescored in float64."""
    queries, gallery = len(features.queries["deep"]), len(features)
    k = min(k, gallery)
    near = min(k + SPARE, gallery)
    needed = []
    for start in range(0, queries, BLOCK):
        asked = {name: rows[start : start + BLOCK] for name, rows in features.queries.items()}
        candidates = np.argpartition(roughly(asked), -near, axis=1)[:, -near:]
        needed += [np.sort(score(start + place, rows))[-k] for place, rows in enumerate(candidates)]
    return GroundTruth(score, np.asarray(needed), k)
