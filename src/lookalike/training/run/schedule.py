"""How the learning rates go, and when there is no more to gain: pure functions and counts, no optimiser."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lookalike.training.settings.run_settings import Schedule


def rate_factor(step: int, steps: int, *, warmup: float, schedule: Schedule = "cosine", drop: float = 1.0) -> float:
    """What the learning rates are multiplied by: a linear rise, then a cosine from 1 down to 0.01, or a level.

    Args:
        step: From 0.
        steps: In the stage.
        warmup: Part of the steps that the rise takes, in [0, 1).
        schedule: `cosine`; the other two stay on the level of `drop`.
        drop: To what a plateau has lowered the rates by now, in (0, 1].
    """
    rise = round(warmup * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    if schedule == "cosine":
        return 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
    return drop


@dataclass
class Gains:
    """What measures on dev have gained so far; a plateau and an early stop go by it.

    Attributes:
        best: The highest figure of the run, in [0, 1]; below 0 before the first measure.
        waited: Measures of this stage in a row without gain.
        drop: What a plateau has lowered the rates to, in (0, 1].
    """

    best: float = -1.0
    waited: int = 0
    drop: float = 1.0

    def start_stage(self) -> None:
        """Begin to wait anew; the best of the run remains."""
        self.waited, self.drop = 0, 1.0

    def note(self, figure: float, *, patience: int, factor: float) -> bool:
        """Take a figure down.

        Args:
            figure: Of a measure, in [0, 1].
            patience: Measures without gain after which the rates drop.
            factor: What they drop by.

        Returns:
            Whether it is the best so far.
        """
        if figure > self.best:
            self.best, self.waited = figure, 0
            return True
        self.waited += 1
        if self.waited % patience == 0:
            self.drop *= factor
        return False
