"""What the best checkpoint of a run is chosen by: the weighted mean of some figures of its dev measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.errors import ConfigError, UnknownNameError


@dataclass(frozen=True, slots=True)
class Criterion:
    """A weighted mean of figures.

    Attributes:
        weights: Weight of each figure, above 0; they sum to 1.
    """

    weights: Mapping[str, float]

    @classmethod
    def of_run(
        cls, select: str | Mapping[str, float], *, known: Sequence[str], usual: Sequence[str]
    ) -> Criterion | None:
        """Read the setting `select` of a run that may have nothing to measure; see `of`.

        Raises:
            ConfigError: Nothing is measured, and the best checkpoint is to be chosen by something.
        """
        if not known and select:
            raise ConfigError(
                f"select = {select!r} needs something to measure: a [[data]] that has at least two dev photos"
            )
        return cls.of(select, known=known, usual=usual) if known else None

    @classmethod
    def of(cls, select: str | Mapping[str, float], *, known: Sequence[str], usual: Sequence[str]) -> Criterion:
        """Read the setting `select`.

        Args:
            select: Name of a figure, such as `0/hit_rate@1`; or of a metric, such as `hit_rate@1`, for the mean of its
                figures; or weights by such names. Empty is the mean of the usual figures.
            known: Names of all figures of the run, such as `0/hit_rate@1`.
            usual: Names of the figures that count by default, at least one.

        Raises:
            UnknownNameError: A name is neither a figure nor a metric of the run.
            ConfigError: A weight is not above 0.
        """
        if not select:
            return cls({name: 1.0 / len(usual) for name in usual})
        given = {select: 1.0} if isinstance(select, str) else select
        weights = dict.fromkeys(known, 0.0)
        for name, weight in given.items():
            if not (math.isfinite(weight) and weight > 0):
                raise ConfigError(f"select: expected a weight above 0 for {name!r}, got {weight}")
            figures = [figure for figure in known if name in (figure, metric_of(figure))]
            if not figures:
                metrics = list(dict.fromkeys([*map(metric_of, known), *known]))
                raise UnknownNameError("metric in `select`", name, metrics)
            for figure in figures:
                weights[figure] += weight / len(figures)
        total = sum(weights.values())
        return cls({name: weight / total for name, weight in weights.items() if weight > 0})

    def value(self, figures: Mapping[str, float]) -> float:
        """Return the weighted mean of figures; one that could not be measured counts as 0."""
        return sum(weight * figures.get(name, 0.0) for name, weight in self.weights.items())

    def __str__(self) -> str:
        if len({*self.weights.values()}) == 1:
            return ("mean of " if len(self.weights) > 1 else "") + ", ".join(self.weights)
        return ", ".join(f"{weight:.3g} x {name}" for name, weight in self.weights.items())


def metric_of(figure: str) -> str:
    """Return the metric of a figure: its name without that of the catalogue."""
    number, slash, metric = figure.partition("/")
    if slash and number.isdecimal() and ": " not in figure:
        return metric
    return figure.rpartition(": ")[2]
