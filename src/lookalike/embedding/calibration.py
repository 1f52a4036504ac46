"""Calibration of a model: the relevance of a match from its cosine, and how sure the model's heads are to be believed.

The relevance is the probability that a match is of the same kind as what was asked. `lookalike calibrate` fits it, and
the model's file keeps it; see `lookalike.tuning.calibration`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.config import build
from lookalike.errors import ConfigError, ModelError, UnknownNameError
from lookalike.types import Float32

FEATURES: Final = ("kind", "nothing")
"""Probabilities of a query photo that its relevances depend on: the largest one of a kind, and that of no garment."""

METADATA: Final = "lookalike.calibration"
"""Entry of the metadata of a model's file that keeps its calibration."""

DOUBT: Final = 0.001
"""Least doubt in a probability: one nearer to 0 or 1 counts as this one."""

Float64: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RelevanceCurve:
    """Logistic function, and steps after it.

    Attributes:
        cosine: Weight of the cosine, above 0.
        bias: Added to the weighted sum.
        odds: Weights of the log-odds of `FEATURES`.
        steps: (S, 2) pairs of a value of the logistic function and its relevance, both increasing; values in between
            are interpolated. Empty leaves the logistic function as it is.

    Source: Platt 1999, Probabilistic Outputs for Support Vector Machines; Zadrozny and Elkan 2002, Transforming
    Classifier Scores into Accurate Multiclass Probability Estimates (the steps).
    """

    cosine: float
    bias: float
    odds: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if unknown := self.odds.keys() - {*FEATURES}:
            raise ConfigError(f"unknown feature {min(unknown)!r}; known: {', '.join(FEATURES)}")
        if not all(np.isfinite([self.cosine, self.bias, *self.odds.values()])) or self.cosine <= 0:
            raise ConfigError("the weights must be finite, and that of the cosine above 0")
        if any(len(step) != 2 for step in self.steps) or not increasing(np.asarray(self.steps).reshape(-1, 2)):
            raise ConfigError("the steps must be pairs that increase from 0 to 1")

    def relevance(self, cosines: Float32 | Float64, about: Mapping[str, float] | Mapping[str, Float64]) -> Float64:
        """Compute the relevance of matches, in [0, 1], of the shape of their cosines.

        Args:
            cosines: Cosines of query and matches.
            about: Probabilities by feature, of the query, or of the query of each match; a missing one counts as 0.5.
        """
        logits = self.bias + self.cosine * np.asarray(cosines, dtype=np.float64)
        for name, weight in self.odds.items():
            logits = logits + weight * log_odds(about.get(name, 0.5))
        values = 0.5 * (1.0 + np.tanh(0.5 * logits))  # the logistic function, without overflow
        if len(self.steps):
            values = np.interp(values, *np.asarray(self.steps, dtype=np.float64).T)
        return np.asarray(values, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of a model.

    Attributes:
        photo: Relevance of the matches of a photo.
        item: Relevance of the matches of an item, from the cosine alone.
        temperatures: Temperature of each head that has one; 1 leaves its probabilities as they are.
    """

    photo: RelevanceCurve
    item: RelevanceCurve
    temperatures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not all(np.isfinite(t) and t > 0 for t in self.temperatures.values()):
            raise ConfigError("temperatures must be above 0")

    def to_json(self) -> str:
        """JSON, as a model's file keeps it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str, *, file: str) -> Calibration:
        """Read the JSON of a model's file.

        Raises:
            ModelError: It is something else.
        """
        try:
            return build(cls, json.loads(text), where=file)
        except (ValueError, TypeError, RecursionError, ConfigError, UnknownNameError) as error:
            raise ModelError(f"{file}: its calibration is damaged: {error}; run `lookalike calibrate` again") from None


def log_odds(probabilities: Float64 | float) -> Float64:
    """Log-odds of probabilities, finite."""
    bounded = np.clip(np.asarray(probabilities, dtype=np.float64), DOUBT, 1.0 - DOUBT)
    return np.asarray(np.log(bounded / (1.0 - bounded)), dtype=np.float64)


def increasing(steps: Float64) -> bool:
    """Whether no column, (S, 2), decreases or leaves [0, 1]."""
    return bool(((steps >= 0) & (steps <= 1)).all() and (np.diff(steps, axis=0) >= 0).all())


def tempered(probabilities: Float32, temperature: float) -> Float32:
    """Soften class probabilities, (B, C), as dividing their logits by a temperature does; below 1 sharpens them.

    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2.
    """
    powers = probabilities.astype(np.float64) ** (1.0 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)
