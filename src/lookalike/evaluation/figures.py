"""Metrics as values: `hit_rate@10` is something that can be named, asked for and measured on a ranking."""

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
    """The answers of Q queries, best first.

    Attributes:
        grades: (Q, K) int64 grade of each answer, from 0; 0 as well where nobody answers any more.
        totals: (Q, G) int64 how many items of the gallery have at least grade 1, 2, ... G.
    """

    grades: Int64
    totals: Int64

    def relevant(self, level: int) -> tuple[Bool, Int64]:
        """Which answers have at least that grade, (Q, K), and how many items there are of it, (Q,)."""
        return self.grades >= level, self.totals[:, level - 1]

    def ideal(self, k: int) -> Int64:
        """The highest grades that k answers could have, falling: (Q, k) int64."""
        best: Int64 = (self.totals[:, None, :] > np.arange(k)[None, :, None]).sum(axis=2)
        return best


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `lookalike.evaluation.metrics` defines each kind.

    Attributes:
        kind: What it computes.
        k: How many answers it looks at; None for kinds that decide it themselves.
        level: The lowest grade that counts as relevant; of no meaning for `ndcg`, which weighs them all.
        of: What that grade stands for, where it is not the highest, such as `articleType`.
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
        """Read a name such as `hit_rate@10`, `map@r` or `mrr`.

        Raises:
            UnknownNameError: There is no such metric.
            UsageError: Its k is missing, of no use or no number.
        """
        kinds = get_args(Kind)
        name, _, number = (text, "", "") if text in kinds else text.partition("@")
        if name not in kinds:
            raise UnknownNameError("metric", text, kinds)
        if number and not number.isdecimal():
            raise UsageError(f"the k of a metric is a whole number, got {text!r}")
        return cls(name, int(number) if number else None, level, of)  # type: ignore[arg-type]  # a kind, as seen above

    def values(self, ranking: Ranking) -> Float64:
        """One number for each query, (Q,) float64 in [0, 1]."""
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
    """Several metrics by their names."""
    return tuple(Metric.parse(name, level=level, of=of) for name in names)


SAME_ITEM: Final[Sequence[str]] = (
    *("hit_rate@1", "hit_rate@5", "hit_rate@10", "hit_rate@20", "hit_rate@30", "hit_rate@40", "hit_rate@50"),
    *("recall@1", "recall@10", "recall@50", "precision@10"),
    *("map", "map@10", "map@r", "r_precision", "mrr", "ndcg@10"),
)
"""What is measured where an answer is right or wrong."""

GRADED: Final[Sequence[str]] = ("precision@1", "precision@10", "map@r")
"""What is measured of the highest grade, beside NDCG@10 of all grades."""

LEADING: Final[Sequence[str]] = ("precision@1", "precision@10")
"""What is measured of the lowest grade, that of the leading field."""
