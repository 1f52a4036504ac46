"""Results of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.catalogue.protocol import Skip


@dataclass(frozen=True, slots=True)
class Trained:
    """Result of a training run.

    Attributes:
        checkpoint: Path of the best checkpoint on dev, or of the last one if there was nothing to measure.
        skipped: Unreadable photos.
    """

    checkpoint: Path
    skipped: Sequence[Skip]


class Stopped(KeyboardInterrupt):
    """The run was interrupted, and its state is saved.

    Attributes:
        folder: Run folder.
        steps: Number of completed steps.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(folder, steps)  # as they are, so that it can be pickled
        self.folder, self.steps = folder, steps
