"""Search for a learning rate: a short run in which the rate rises until the loss does.

Source: Smith 2017, Cyclical Learning Rates for Training Neural Networks, section 3.3.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.errors import ConfigError
from lookalike.training.outcome import NotFiniteError, RateCurve
from lookalike.training.run.interruption import Interruption
from lookalike.training.run.loop import Run
from lookalike.training.run.processes import start_processes
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.settings.run_settings import load_settings

LOWEST: Final = 1e-6
HIGHEST: Final = 1.0

MEMORY: Final = 0.9
"""How much of the smoothed loss stays at each step."""

RISEN: Final = 2.0
"""Factor of the least smoothed loss at which the search ends."""


def find_rate(
    config: Path,
    *,
    overrides: Sequence[str] = (),
    base: Path | None = None,
    steps: int = 100,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RateCurve:
    """Raise the learning rates of the first stage from step to step, in their proportion, until the loss rises.

    Nothing is saved.

    Args:
        config: Settings file, as for `train`.
        overrides: Settings that replace those of the file, as `key=value`.
        base: Folder that paths in the settings are relative to; None is the file's.
        steps: Steps between the lowest rate and the highest, at least 10.
        progress: Called after each step with the number of steps done and in all.

    Raises:
        ConfigError: A setting is wrong, or the first stage does not train the new layers.
        TrainingError: The loss is not finite from the first steps.
    """
    settings = replace(load_settings(config, overrides=tuple(overrides)), trackers=())
    stage = settings.stage[0]
    if stage.learning_rate == 0:
        raise ConfigError(f"{config}: the first stage has learning_rate = 0; name the rates in their proportion")
    stage = replace(stage, learning_rate=1.0, backbone_rate=stage.backbone_rate / stage.learning_rate)
    accelerator = start_processes(settings.device, settings.precision)
    with tempfile.TemporaryDirectory() as folder:
        run_folder = RunFolder(Path(folder))
        run_folder.begin(settings)
        try:
            run = Run(
                settings,
                base=config.parent if base is None else base,
                folder=run_folder,
                accelerator=accelerator,
                interruption=Interruption(),
                is_recorded=False,
            )
            if run.steps[0] == 0:
                raise ConfigError(f"{config}: the first stage trains nothing, so there is no rate to find")
            stepper, batches = run.stepper_of(stage), run.batches(0, steps)
            factors = np.geomspace(LOWEST, HIGHEST, steps)
            losses: list[float] = []
            for number, factor in enumerate(factors):
                try:
                    step = stepper.step(batches, number=number, factor=float(factor))
                except NotFiniteError:
                    if number < 10:
                        raise
                    break  # the rate is too high: the loss is not finite any more
                losses.append(sum(step.parts.values()))
                progress(number + 1, steps)
                average = smoothed(losses)
                if number >= 10 and average[-1] > RISEN * min(average):
                    break
        finally:
            run_folder.release()
    return RateCurve(factors[: len(losses)].tolist(), losses, smoothed(losses))


def smoothed(losses: Sequence[float]) -> list[float]:
    """Exponential average of losses, each divided by the weight of those seen so far."""
    averages, average = [], 0.0
    for number, loss in enumerate(losses):
        average = MEMORY * average + (1 - MEMORY) * loss
        averages.append(average / (1 - MEMORY ** (number + 1)))
    return averages
