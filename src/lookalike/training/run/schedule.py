"""Learning rate schedule and plateau detection, without an optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lookalike.training.settings.run_settings import Schedule


def rate_factor(step: int, steps: int, *, warmup: float, schedule: Schedule = "cosine", drop: float = 1.0) -> float:
    """Return the factor of the learning rates: a linear warm-up, then a cosine from 1 down to 0.01, or a constant.

    Args:
        step: Step of the stage, from 0.
        steps: Number of steps in the stage.
        warmup: Fraction of the steps that warm up, in [0, 1).
        schedule: `cosine`; the other two keep the level `drop`.
        drop: Factor after the plateaus so far, in (0, 1].
    """
    rise = round(warmup * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    if schedule == "cosine":
        return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
    return drop


@dataclass
class PlateauTracker:
    """Best dev figure of a run, and the measures since; it decides on plateaus and early stops.

    Attributes:
        best: Highest figure of the run, in [0, 1]; negative before the first measure.
        waited: Measures of this stage in a row without improvement.
        drop: Factor of the learning rates after the plateaus so far, in (0, 1].
    """

    best: float = -1.0
    waited: int = 0
    drop: float = 1.0

    def start_stage(self) -> None:
        """Reset the count and the factor; the best figure of the run remains."""
        self.waited, self.drop = 0, 1.0

    def go_on(self, *, early_stop: int) -> None:
        """Reset the count of a stage that goes on after an early stop.

        Args:
            early_stop: Measures without improvement that end a stage; 0 if none do.
        """
        if 0 < early_stop <= self.waited:
            self.waited = 0

    def note(self, figure: float, *, patience: int, factor: float) -> bool:
        """Record a dev figure.

        Args:
            figure: Mean figure of a dev measure, in [0, 1].
            patience: Measures without improvement after which the learning rates drop.
            factor: Factor of a drop, in (0, 1).

        Returns:
            Whether the figure is the best so far.
        """
        if figure > self.best:
            self.best, self.waited = figure, 0
            return True
        self.waited += 1
        if self.waited % patience == 0:
            self.drop *= factor
        return False
