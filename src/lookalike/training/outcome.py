"""What a training run leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.catalogue.protocol import Skip


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run left.

    Attributes:
        checkpoint: The best on dev, or the last when there was nothing to measure.
        skipped: Photos that could not be read.
    """

    checkpoint: Path
    skipped: Sequence[Skip]


class Stopped(KeyboardInterrupt):
    """The run was asked to stop, and its state is saved.

    Attributes:
        folder: Of the run.
        steps: That are done.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(folder, steps)  # as they are, so that it can be pickled
        self.folder, self.steps = folder, steps
