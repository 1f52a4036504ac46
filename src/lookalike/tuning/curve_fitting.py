"""Fitting of calibration curves: pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import isotonic_regression, minimize, minimize_scalar

from lookalike.embedding.calibration import RelevanceCurve, log_odds
from lookalike.errors import UsageError
from lookalike.evaluation.calibration_error import expected_calibration_error
from lookalike.evaluation.metrics import Float64
from lookalike.types import Bool, Float32, Int64

PENALTY: Final = 0.5
"""Factor of the squared weights, or of the squared logarithm of the temperature, beside the summed loss, so that
separable cases stay finite."""

TEMPERATURES: Final = (0.05, 20.0)
"""Least and largest temperature."""

STEP_DIGITS: Final = 4

CERTAIN: Final = 0.995
"""Highest relevance of a step, and 1 minus the lowest: a hundred pairs of one kind prove no more."""

WORTH: Final = 0.005
"""Least gain in the calibration error for which a curve gets steps: they level out differences within each step."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of queries and matches.

    Attributes:
        cosines: (P,) float64.
        about: (P,) float64 by name, of `lookalike.embedding.calibration.FEATURES`.
        same: (P,) whether both are of the same kind.
        query: (P,) number of the query.
        sources: Name of the source of each query.
    """

    cosines: Float64
    about: Mapping[str, Float64]
    same: Bool
    query: Int64
    sources: Sequence[str]

    def of(self, chosen: Bool) -> Pairs:
        """The pairs of a mask, (P,)."""
        about = {name: column[chosen] for name, column in self.about.items()}
        return Pairs(self.cosines[chosen], about, self.same[chosen], self.query[chosen], self.sources)


@dataclass(frozen=True, slots=True)
class FittedCurve:
    """Curve, and its error on queries that did not fit it.

    Attributes:
        curve: Fitted to all pairs.
        error: Expected calibration error over the second half of the queries, of a curve fitted to the first.
        errors: The same of the queries of each source.
        queries: Number of queries.
        pairs: Number of pairs.
        same: Share of pairs of the same kind.
    """

    curve: RelevanceCurve
    error: float
    errors: Mapping[str, float]
    queries: int
    pairs: int
    same: float


def fit_curve(pairs: Pairs) -> FittedCurve:
    """Fit a curve, with steps if they lower the error on held-out queries by `WORTH`.

    Raises:
        UsageError: The pairs are too few, all alike, or their cosines say nothing.
    """
    queries = np.unique(pairs.query)
    first = np.isin(pairs.query, np.random.default_rng(0).permutation(queries)[: len(queries) // 2])
    fitting, held_out = pairs.of(first), pairs.of(~first)
    logistic = fit_logistic(fitting)
    stepped = replace(logistic, steps=fit_steps(values_of(logistic, fitting), fitting.same))
    stepwise = error_of(stepped, held_out) < error_of(logistic, held_out) - WORTH
    measured = stepped if stepwise else logistic
    source = np.array(pairs.sources)[held_out.query]
    errors = {name: error_of(measured, held_out.of(source == name)) for name in dict.fromkeys(source.tolist())}
    final = fit_logistic(pairs)
    if stepwise:
        final = replace(final, steps=fit_steps(values_of(final, pairs), pairs.same))
    error, same = error_of(measured, held_out), float(pairs.same.mean())
    return FittedCurve(final, error, errors, len(queries), len(pairs.same), same)


def error_of(curve: RelevanceCurve, pairs: Pairs) -> float:
    """Expected calibration error of a curve over pairs."""
    return expected_calibration_error(values_of(curve, pairs), pairs.same)


def values_of(curve: RelevanceCurve, pairs: Pairs) -> Float64:
    """Relevance of pairs, (P,)."""
    return curve.relevance(pairs.cosines, pairs.about)


def fit_logistic(pairs: Pairs) -> RelevanceCurve:
    """Fit a logistic function by penalised likelihood, as scikit-learn's LogisticRegression does by default.

    Raises:
        UsageError: All pairs are alike, or a higher cosine does not mean a higher probability.
    """
    same = pairs.same
    if len(same) < 2 or same.all() or not same.any():
        raise UsageError("the photos give no pairs of the same kind, or none of different kinds: more kinds are needed")
    columns = np.stack([pairs.cosines, *map(log_odds, pairs.about.values()), np.ones(len(same))], axis=1)
    signs = np.where(same, 1.0, -1.0)

    def loss(weights: Float64) -> tuple[float, Float64]:
        margins = signs * (columns @ weights)
        shrunk = np.append(weights[:-1], 0.0)
        slope = columns.T @ (-signs * 0.5 * (1.0 - np.tanh(0.5 * margins)))
        return float(np.logaddexp(0.0, -margins).sum() + PENALTY * (shrunk @ shrunk)), slope + 2 * PENALTY * shrunk

    start, precise = np.zeros(columns.shape[1]), {"maxiter": 1000, "ftol": 1e-14}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=precise)
    cosine, *odds, bias = map(float, found.x)
    if cosine <= 0:
        raise UsageError("pairs of the same kind have no higher cosines than others: the model cannot tell these kinds")
    return RelevanceCurve(cosine, bias, dict(zip(pairs.about, odds, strict=True)))


def fit_steps(values: Float64, same: Bool) -> tuple[tuple[float, float], ...]:
    """Fit the steps of a curve by isotonic regression: both ends of each level.

    Args:
        values: (P,) values of the logistic function.
        same: (P,) what is to be predicted.

    Source: Zadrozny and Elkan 2002, Transforming Classifier Scores into Accurate Multiclass Probability Estimates.
    """
    levels, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=same.astype(np.float64)) / counts
    fitted = isotonic_regression(means, weights=counts)
    starts = fitted.blocks[:-1]
    ends = fitted.blocks[1:] - 1
    steps = [(round(float(levels[at]), STEP_DIGITS), float(fitted.x[at])) for at in np.union1d(starts, ends)]
    bounded = np.clip([*dict(steps).values()], 1 - CERTAIN, CERTAIN).round(STEP_DIGITS).tolist()
    return tuple(zip(dict(steps), bounded, strict=True))


def fit_temperature(probabilities: Float32, truth: Int64) -> float:
    """Fit the temperature of a head by likelihood.

    Args:
        probabilities: (N, C) of the classes.
        truth: (N,) number of the right class.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        surprise = np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(truth)), truth]
        return float(surprise.sum() + PENALTY * log_temperature**2)

    return float(
        np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-5}).x)
    )
