"""Calibration error: how far probabilities are from what happens."""

from __future__ import annotations

import numpy as np

from lookalike.evaluation.metrics import Float64
from lookalike.types import Bool

BINS = 15


def expected_calibration_error(probabilities: Float64, happened: Bool, *, bins: int = BINS) -> float:
    """Mean difference between probability and frequency, over bins of equal numbers of cases.

    Args:
        probabilities: (N,) in [0, 1], at least one.
        happened: (N,) whether each came true.
        bins: Number of bins, each with an equal share of the cases in the order of their probabilities.

    Source: Nguyen and O'Connor 2015, Posterior calibration and exploratory analysis for natural language processing
    models, section 3 (adaptive bins); the usual one of Guo et al. 2017 has bins of equal width.
    """
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [len(part) * abs(float(probabilities[part].mean()) - float(happened[part].mean())) for part in parts]
    return sum(gaps) / len(order)
