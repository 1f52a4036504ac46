"""Results of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.catalogue.protocol import Skip
from lookalike.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Trained:
    """Result of a training run.

    Attributes:
        checkpoint: Path of the best checkpoint on dev, or of the last one if there was nothing to measure.
        skipped: Unreadable photos.
        figure: Dev figure that chose the checkpoint; None if there was nothing to measure.
    """

    checkpoint: Path
    skipped: Sequence[Skip]
    figure: float | None = None


@dataclass(frozen=True, slots=True)
class RateCurve:
    """Losses at rising learning rates.

    Attributes:
        rates: Learning rates of the new layers, rising by a constant factor.
        losses: Loss of the step at each rate.
        smoothed: The same, as an exponential average without the bias of its start.
    """

    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]

    @property
    def steepest(self) -> float:
        """Rate at which the smoothed loss falls fastest, per factor of the rate, before its least value."""
        least = int(np.argmin(self.smoothed))
        if least < 2:
            return self.rates[0]
        slopes = np.gradient(np.asarray(self.smoothed[: least + 1]), np.log(self.rates[: least + 1]))
        return self.rates[int(np.argmin(slopes))]

    @property
    def least(self) -> float:
        """Rate with the least smoothed loss; a tenth of it is a common choice, too."""
        return self.rates[int(np.argmin(self.smoothed))]


class NotFiniteError(TrainingError):
    """The loss or its gradient is not finite, so the run cannot go on."""


class Stopped(KeyboardInterrupt):
    """The run was interrupted, and its state is saved.

    Attributes:
        folder: Run folder.
        steps: Number of completed steps.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(folder, steps)  # as they are, so that it can be pickled
        self.folder, self.steps = folder, steps
