"""Metrics as values: parsing names such as `hit_rate@10`, and computing them on a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from lookalike.errors import UnknownNameError, UsageError
from lookalike.evaluation.metrics import (
    Float64,
    average_precision,
    hit_rate_at_k,
    map_at_r,
    ndcg_at_k,
    precision_at_k,
    r_precision,
    recall_at_k,
    reciprocal_rank,
)
from lookalike.types import Bool, Int64

Kind = Literal["hit_rate", "recall", "precision", "map", "map@r", "r_precision", "mrr", "ndcg"]

NEEDS_K: Final = ("hit_rate", "recall", "precision", "ndcg")
TAKES_K: Final = (*NEEDS_K, "map")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Grades of the answers of Q queries, best first.

    Attributes:
        grades: (Q, K) int64 grade of each answer, from 0; 0 too for missing answers.
        totals: (Q, G) int64 number of items in the gallery of at least grade 1, 2, ... G.
    """

    grades: Int64
    totals: Int64

    def relevant(self, level: int) -> tuple[Bool, Int64]:
        """Return whether each answer has at least a grade, (Q, K), and the number of such items, (Q,)."""
        return self.grades >= level, self.totals[:, level - 1]

    def ideal(self, k: int) -> Int64:
        """Return the k highest grades in the gallery for each query, descending: (Q, k) int64."""
        best: Int64 = (self.totals[:, None, :] > np.arange(k)[None, :, None]).sum(axis=2)
        return best


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `lookalike.evaluation.metrics` defines each kind.

    Attributes:
        kind: Name without k, such as `hit_rate`.
        k: Number of answers it takes into account; None for kinds without a k.
        level: Lowest relevant grade; ignored by `ndcg`, which uses all grades.
        of: Attribute of that grade, such as `articleType`, where it is not the highest grade; part of the name.
    """

    kind: Kind
    k: int | None = None
    level: int = 1
    of: str = ""

    def __post_init__(self) -> None:
        if (self.kind in NEEDS_K and self.k is None) or (self.kind not in TAKES_K and self.k is not None):
            raise UsageError(f"the metric {self.kind!r} " + ("needs a k" if self.k is None else "takes no k"))
        if self.k is not None and self.k < 1:
            raise UsageError(f"k must be at least 1, got {self.k}")

    def __str__(self) -> str:
        name = self.kind if self.k is None else f"{self.kind}@{self.k}"
        return f"{name}[{self.of}]" if self.of else name

    @classmethod
    def parse(cls, text: str, *, level: int = 1, of: str = "") -> Metric:
        """Parse a name such as `hit_rate@10`, `map@r` or `mrr`.

        Raises:
            UnknownNameError: There is no such metric.
            UsageError: k is missing, not allowed or malformed.
        """
        kinds = get_args(Kind)
        name, _, number = (text, "", "") if text in kinds else text.partition("@")
        if name not in kinds:
            raise UnknownNameError("metric", text, kinds)
        if number and not number.isdecimal():
            raise UsageError(f"the k of a metric is a whole number, got {text!r}")
        return cls(name, int(number) if number else None, level, of)  # type: ignore[arg-type]  # a kind, as seen above

    def values(self, ranking: Ranking) -> Float64:
        """Compute the value of each query, (Q,) float64 in [0, 1]."""
        relevant, total = ranking.relevant(self.level)
        k = self.k or 1
        match self.kind:
            case "hit_rate":
                return hit_rate_at_k(relevant, k)
            case "recall":
                return recall_at_k(relevant, total, k)
            case "precision":
                return precision_at_k(relevant, k)
            case "map":
                return average_precision(relevant, total, self.k)
            case "map@r":
                return map_at_r(relevant, total)
            case "r_precision":
                return r_precision(relevant, total)
            case "mrr":
                return reciprocal_rank(relevant)
            case "ndcg":
                return ndcg_at_k(ranking.grades, ranking.ideal(k), k)


def named(*names: str, level: int = 1, of: str = "") -> tuple[Metric, ...]:
    """Parse several names."""
    return tuple(Metric.parse(name, level=level, of=of) for name in names)


SAME_ITEM: Final[Sequence[str]] = (
    *("hit_rate@1", "hit_rate@5", "hit_rate@10", "hit_rate@20", "hit_rate@30", "hit_rate@40", "hit_rate@50"),
    *("recall@1", "recall@10", "recall@50", "precision@10"),
    *("map", "map@10", "map@r", "r_precision", "mrr", "ndcg@10"),
)
"""Metrics of tasks with a single grade."""

BESIDE_HIT_RATES: Final[Sequence[str]] = ("map@r", "r_precision", "map", "mrr")
"""Metrics of a published benchmark after the hit rates that its papers print."""

GRADED: Final[Sequence[str]] = ("precision@1", "precision@10", "map@r")
"""Metrics of the highest grade of graded tasks, besides NDCG@10 of all grades."""

LEADING: Final[Sequence[str]] = ("precision@1", "precision@10")
"""Metrics of the lowest grade of graded tasks, that of the leading field."""
