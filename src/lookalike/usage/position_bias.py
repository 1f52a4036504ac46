"""Position bias: how probable it is that a match at a position is looked at, estimated from clicks.

In the position-based model a match is clicked if it is looked at, which depends on its position alone, and if it is
wanted, which depends on the match alone: `P(click) = examination(position) * relevance(match)`. With the relevance as
a logistic function of the cosines, both are estimated together by maximum likelihood, without any experiment.

Source: Wang, Golbandi, Bendersky, Metzler and Najork 2018, Position Bias Estimation for Unbiased Learning to Rank in
Personal Search, whose regression-based EM maximises the same likelihood; the model is that of Richardson, Dominowska
and Ragno 2007, Predicting Clicks.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from lookalike.evaluation.metrics import Float64
from lookalike.usage.clicks import ClickLog

LEAST_EXAMINATION: Final = 0.1
"""Least probability that is divided by: without a bound, a few clicks far down would decide."""

SMOOTHING: Final = 10.0
"""Weight of the squared differences of the logits of neighbouring positions."""

RIDGE: Final = 1.0
"""Weight of the squared coefficients of the relevance."""

TINY: Final = 1e-9


def examination(log: ClickLog) -> Float64:
    """Estimate the probability that a match is looked at, by position.

    Args:
        log: Answers and clicks.

    Returns:
        (K,) float64 relative to the first position, which is 1; at least `LEAST_EXAMINATION`.
    """
    from scipy.optimize import minimize

    depth = log.shown.shape[1]
    features = relevance_features(log)[log.shown]
    position = np.nonzero(log.shown)[1]
    clicked = log.wanted[log.shown].astype(np.float64)

    def loss(parameters: Float64) -> tuple[float, Float64]:
        """Negative log-likelihood with its penalties, and its gradient."""
        logits, coefficients = parameters[: depth - 1], parameters[depth - 1 :]
        looked = np.concatenate([[1.0], sigmoid(logits)])
        relevance = sigmoid(features @ coefficients)
        chance = np.clip(looked[position] * relevance, TINY, 1 - TINY)
        value = -float((clicked * np.log(chance) + (1 - clicked) * np.log(1 - chance)).sum())
        slope = -(clicked / chance - (1 - clicked) / (1 - chance))
        by_position = np.bincount(position, slope * relevance, minlength=depth)[1:] * looked[1:] * (1 - looked[1:])
        by_feature = features.T @ (slope * looked[position] * relevance * (1 - relevance))
        steps = np.diff(logits)
        value += 0.5 * SMOOTHING * float(np.square(steps).sum()) + 0.5 * RIDGE * float(
            np.square(coefficients[1:]).sum()
        )
        by_position[1:] += SMOOTHING * steps
        by_position[:-1] -= SMOOTHING * steps
        by_feature[1:] += RIDGE * coefficients[1:]
        return value, np.concatenate([by_position, by_feature])

    rate = float(np.clip(clicked.mean(), 0.01, 0.99))
    start = np.zeros(depth - 1 + features.shape[1])
    start[depth - 1] = np.log(rate / (1 - rate))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    looked = np.concatenate([[1.0], sigmoid(found.x[: depth - 1])])
    bounded: Float64 = np.maximum(looked, LEAST_EXAMINATION)
    return bounded


def relevance_features(log: ClickLog) -> Float64:
    """What the relevance is a logistic function of: (Q, K, 1 + 3 S) float64.

    1, the cosines of each space relative to the mean of the answer with their squares, and that mean; all in standard
    deviations.
    """
    counts = np.maximum(log.shown.sum(axis=1), 1)[:, np.newaxis, np.newaxis]
    means = np.where(log.shown[..., np.newaxis], log.scores, 0.0).sum(axis=1, keepdims=True) / counts
    inside = standardised(log.scores - means, log)
    between = standardised(np.broadcast_to(means, log.scores.shape), log)
    return np.concatenate([np.ones((*log.shown.shape, 1)), inside, np.square(inside), between], axis=-1)


def standardised(values: Float64, log: ClickLog) -> Float64:
    """Values, (Q, K, S), less their mean over all matches that are shown, in standard deviations."""
    known = values[log.shown]
    return np.asarray((values - known.mean(axis=0)) / np.maximum(known.std(axis=0), TINY))


def sigmoid(values: Float64) -> Float64:
    """Logistic function."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))
