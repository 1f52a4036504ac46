"""What a run writes down as it goes: its log, and the same for TensorBoard."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from lookalike.training.run.dev_measure import Measured
from lookalike.training.run.hits_and_misses import draw_hits_and_misses
from lookalike.training.run.optimiser_step import Stepped
from lookalike.training.run.run_folder import RunFolder


@dataclass
class Done:
    """How far a run is.

    Attributes:
        stage: The stage under way, from 0.
        step: Steps of it that are done.
        all_steps: Steps of all stages that are done.
        measure_due: Whether the measure that belongs after these steps has yet to be made.
    """

    stage: int = 0
    step: int = 0
    all_steps: int = 0
    measure_due: bool = False


class Notes:
    """The log and TensorBoard of a run; only the first of several processes keeps them.

    Args:
        folder: Of the run.
        done: How far it is, which changes as it goes.
    """

    def __init__(self, folder: RunFolder, done: Done) -> None:
        self.folder, self.done = folder, done
        # What was written after the state was saved is written once more, and TensorBoard is told to hide the first.
        self.writer = SummaryWriter(str(folder.tensorboard), purge_step=done.all_steps + 1)

    def step(self, stepped: Stepped) -> None:
        """Take down a step."""
        for name, value in stepped.parts.items():
            self._scalar(f"loss/{name}", value)
        self._scalar("loss", sum(stepped.parts.values()))
        for name, value in stepped.rates.items():
            self._scalar(f"rate/{name}", value)
        self._scalar("gradient norm", stepped.norm)
        # A step that fp16 leaves out has no length of the gradient, and JSON no infinity.
        norm = stepped.norm if math.isfinite(stepped.norm) else None
        self._log({"loss": stepped.parts, "rate": stepped.rates, "gradient_norm": norm, "batch": stepped.batch})

    def measured(self, measured: Measured, *, label: str) -> None:
        """Take down a measure on dev.

        Args:
            measured: What it found.
            label: The attribute that is written below the photos of hits and misses.
        """
        for name, value in measured.figures.items():
            self._scalar(f"dev/{name}", value)
        if measured.ranked is not None and len(measured.ranked.asked):
            picture = draw_hits_and_misses(measured.ranked, label=label)
            self.writer.add_image("dev/hits and misses", np.asarray(picture), self.done.all_steps, dataformats="HWC")
        self._log({"dev": measured.figures})

    def close(self) -> None:
        """Write out what is still in memory."""
        self.writer.close()

    def _scalar(self, name: str, value: float) -> None:
        self.writer.add_scalar(name, value, self.done.all_steps)

    def _log(self, entry: Mapping[str, object]) -> None:
        where = {name: value for name, value in asdict(self.done).items() if name != "measure_due"}
        self.folder.log({**where, **entry})
