"""Queries with exact answers, filters that pass a fraction of the rows, and recall and times of an engine's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engines import Answer, K, Passing
from lookalike.benchmarking.features import LOTS, SPACES, FeatureGenerator, synthetic
from lookalike.benchmarking.searching import WEIGHTS
from lookalike.spaces import slices
from lookalike.types import Float32

TIE = 1e-6
"""Scores that differ by less than this are equal."""


class Questions:
    """Queries with the exact scores of all rows.

    Args:
        scores: (Q, N) float32.
        lots: (N,) attribute of each row.
    """

    def __init__(self, scores: Float32, lots: np.ndarray) -> None:
        self._scores, self._lots = scores, lots
        self._needed: dict[tuple[int, Passing], float] = {}
        self.count = len(scores)

    def passing(self, number: int, share: float) -> tuple[int, int]:
        """Return a filter that passes about a fraction of the rows; different for the first numbers."""
        wide = max(1, round(share * LOTS))
        low = 7 * number % (LOTS - wide + 1)
        return low, low + wide

    def right(self, number: int, answer: Answer, passing: Passing) -> int:
        """Count the rows of an answer that are right; ties with the last of the best rows are.

        A row that does not pass, that is told a second time or with a wrong attribute, is not right.
        """
        needed, scores = self._least(number, passing), self._scores[number]
        low, high = passing or (0, LOTS)
        true = {
            row
            for row, lot in answer[:K]
            if lot == self._lots[row] and low <= lot < high and scores[row] >= needed - TIE
        }
        return len(true)

    def wanted(self, passing: Passing) -> int:
        """Count the rows of a complete answer."""
        if passing is None:
            return min(K, len(self._lots))
        return min(K, int(np.count_nonzero((self._lots >= passing[0]) & (self._lots < passing[1]))))

    def _least(self, number: int, passing: Passing) -> float:
        """Score of the last row of the exact answer."""
        key = (number, passing)
        if key not in self._needed:
            scores = self._scores[number]
            if passing is not None:
                scores = scores[(self._lots >= passing[0]) & (self._lots < passing[1])]
            wanted = min(K, len(scores))
            self._needed[key] = float(np.partition(scores, -wanted)[-wanted]) if wanted else np.inf
        return self._needed[key]


@dataclass(slots=True)
class Calls:
    """Calls of one engine with one effort.

    Attributes:
        asked: Number and filter of each query.
        answers: Answer to each query.
        wall_ms: Milliseconds of each call.
        processor_ms: Milliseconds of processor time of each call, of all threads of the engine.
    """

    asked: list[tuple[int, Passing]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    processor_ms: list[float] = field(default_factory=list)

    @property
    def processor(self) -> float:
        """Median of the processor time, in milliseconds."""
        return float(np.median(self.processor_ms))

    def add(
        self, numbers: Sequence[int], found: Sequence[tuple[Answer, float, float]], passing: Passing = None
    ) -> None:
        """Add calls."""
        for number, (answer, wall, processor) in zip(numbers, found, strict=True):
            self.asked.append((number, passing))
            self.answers.append(answer)
            self.wall_ms.append(wall)
            self.processor_ms.append(processor)

    def to_json(self, questions: Questions) -> dict[str, Any]:
        """Return recall and times."""
        right = sum(questions.right(*each) for each in self._each())
        wanted = sum(questions.wanted(passing) for _, passing in self.asked)
        return {
            "queries": len(self.asked),
            "recall": right / wanted,
            "p50_ms": float(np.median(self.wall_ms)),
            "p99_ms": float(np.percentile(self.wall_ms, 99)),
            "processor_ms": self.processor,
        }

    def _each(self) -> list[tuple[int, Answer, Passing]]:
        return [(number, answer, passing) for (number, passing), answer in zip(self.asked, self.answers, strict=True)]


def draw(folder: Path, rows: int, queries: int) -> Questions:
    """Draw the rows of `lookalike bench`, write them for the engines, and compute all scores.

    Rows and queries are the concatenated vectors under the default weights, each of length 1, so that the inner product
    is the score, and orders rows as cosine and Euclidean distance do.
    """
    drawn = synthetic(rows, queries=queries)
    lots = FeatureGenerator(rows, queries=queries).lots
    total = sum(WEIGHTS.values())
    made = []
    for vectors in (drawn.gallery, drawn.queries):
        joined = np.concatenate([vectors[name] for name in slices(SPACES)], axis=1)
        for name, place in slices(SPACES).items():
            joined[:, place] *= np.float32((WEIGHTS[name] / total) ** 0.5)
        made.append(joined)
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in (("rows", made[0]), ("queries", made[1]), ("lots", lots)):
        np.save(folder / f"{name}.npy", array)
    return Questions(made[1] @ made[0].T, lots)
