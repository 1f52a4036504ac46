"""Run log: optimiser steps and dev measures as JSON lines, for TensorBoard and for trackers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from lookalike.training.data.hard_negatives import HardNegatives
from lookalike.training.run.dev_measure import DevMeasure
from lookalike.training.run.hits_and_misses import draw_hits_and_misses_grid
from lookalike.training.run.optimiser_step import OptimiserStep
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.run.trackers import Trackers


@dataclass
class RunPosition:
    """Position of a run.

    Attributes:
        stage: Current stage, from 0.
        step: Completed steps of the current stage.
        all_steps: Completed steps of all stages.
        measure_due: Whether the dev measure after these steps is still to be made.
        ended: Steps of the stages that have ended.
    """

    stage: int = 0
    step: int = 0
    all_steps: int = 0
    measure_due: bool = False
    ended: list[int] = field(default_factory=list)

    def end_stage(self) -> None:
        """Go to the next stage."""
        self.ended.append(self.step)
        self.stage, self.step = self.stage + 1, 0

    def reopen_stage(self, before: Sequence[int], now: Sequence[int]) -> bool:
        """Return to the last stage that took steps, if it has ended and has been made longer than it was.

        Args:
            before: Steps that each stage was to have.
            now: Steps that each stage is to have.

        Returns:
            Whether there is such a stage.
        """
        last = max((stage for stage, steps in enumerate(self.ended) if steps), default=None)
        if self.step or last is None or now[last] == before[last] or now[last] <= self.ended[last]:
            return False
        self.stage, self.step = last, self.ended[last]
        del self.ended[last:]
        return True


class RunLog:
    """JSON lines, TensorBoard events and trackers of a run, written by the first process.

    Args:
        folder: Run folder.
        position: Current position of the run; it changes as the run proceeds.
        trackers: Trackers of the run.
        tensorboard: Whether TensorBoard events are written.
    """

    def __init__(
        self, folder: RunFolder, position: RunPosition, trackers: Trackers | None = None, *, tensorboard: bool = True
    ) -> None:
        self.folder, self.position, self.trackers = folder, position, trackers
        # Steps after the last saved state are repeated; TensorBoard hides their first events.
        purged = position.all_steps + 1
        self.writer = SummaryWriter(str(folder.tensorboard), purge_step=purged) if tensorboard else None

    def step(self, step: OptimiserStep) -> None:
        """Log an optimiser step."""
        # A step that fp16 skips has an infinite norm, which JSON cannot hold.
        norm = step.norm if math.isfinite(step.norm) else None
        self._log({"loss": step.parts, "rate": step.rates, "gradient_norm": norm, "batch": step.batch})
        figures = {f"loss/{name}": value for name, value in step.parts.items()}
        figures["loss"] = sum(step.parts.values())
        figures |= {f"rate/{name}": value for name, value in step.rates.items()}
        figures["gradient norm"] = step.norm
        self._write("loss", figures)

    def measured(self, measured: DevMeasure, *, criterion: float | None, label: str) -> None:
        """Log a dev measure.

        Args:
            measured: The measure.
            criterion: What the best checkpoint is chosen by, in [0, 1]; None if nothing is measured.
            label: Attribute in the captions of the hits-and-misses grid.
        """
        self._log({"dev": measured.figures, "criterion": criterion, "classes": measured.classes})
        figures = {f"dev/{name}": value for name, value in measured.figures.items()}
        if criterion is not None:
            figures["dev/criterion"] = criterion
        self._write("dev", figures)
        if self.writer and measured.shown is not None:
            picture = draw_hits_and_misses_grid(measured.shown, label=label)
            self.writer.add_image(
                "dev/hits and misses", np.asarray(picture), self.position.all_steps, dataformats="HWC"
            )

    def mined(self, mined: HardNegatives) -> None:
        """Log a mining of hard negatives."""
        figures = {"similarity": mined.similarity, "overall": mined.overall}
        counts = {"groups": mined.groups, "compared": mined.compared, "false_negatives": mined.false_negatives}
        found = {**figures, **counts}
        self._log({"hard_negatives": found})
        named = {f"hard negatives/{name.replace('_', ' ')}": float(value) for name, value in found.items()}
        self._write("hard_negatives", named)

    def close(self) -> None:
        """Flush and close the TensorBoard events, and end the trackers' runs."""
        if self.writer:
            self.writer.close()
        if self.trackers:
            self.trackers.close()

    def _write(self, kind: str, figures: Mapping[str, float]) -> None:
        if self.writer:
            for name, value in figures.items():
                self.writer.add_scalar(name, value, self.position.all_steps)
        if self.trackers:
            self.trackers.log(kind, figures, step=self.position.all_steps)

    def _log(self, entry: Mapping[str, object]) -> None:
        position = self.position
        where = {"stage": position.stage, "step": position.step, "all_steps": position.all_steps}
        self.folder.log({**where, **entry})
