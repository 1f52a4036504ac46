"""The public training function; PyTorch is imported when a run starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.extras import extra_wanted
from lookalike.training.outcome import RateCurve, Trained
from lookalike.training.settings.presets import find_settings
from lookalike.training.settings.tasks import task_of
from lookalike.types import several


def train(
    config: str | os.PathLike[str],
    *,
    overrides: str | Sequence[str] = (),
    resume: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train a model on catalogues with labels, a finder on photos with boxes, or a text encoder on galleries.

    Args:
        config: A TOML file of settings, or the name of a preset; see `lookalike.training.settings.run_settings`, and
            for a finder `lookalike.training.finder.settings`, for a text encoder `lookalike.training.text.settings`.
        overrides: Setting that replaces that of the file, as `key=value`, or several.
        resume: Run folder to resume from its last saved state.
        out: Run folder to create; None is `runs/NAME`.
        progress: Called after each step with the number of steps done and in all.
        report: Called with a line after each dev measure and for each unreadable photo.

    Raises:
        UsageError: The file, preset or run folder does not exist; subclasses for settings, catalogues and weights.
        TrainingError: The loss is not finite, too many photos are unreadable, or the disk is full.
        Stopped: The run was interrupted by Ctrl-C or SIGTERM; its state is saved.
        MissingExtraError: A package that training needs is not installed.
    """
    file, base = find_settings(os.fspath(config))
    if resume is not None and not Path(resume).is_dir():
        raise UsageError(f"{os.fspath(resume)}: no such folder")
    with extra_wanted("training", "train"):
        from lookalike.training.finder.loop import train_finder
        from lookalike.training.run.loop import train as train_embedder
        from lookalike.training.text.loop import train_text_encoder
    runs = {"embedder": train_embedder, "finder": train_finder, "text": train_text_encoder}
    return runs[task_of(file)](
        file,
        overrides=several(overrides),
        base=base,
        resume=None if resume is None else Path(resume),
        out=None if out is None else Path(out),
        progress=progress,
        report=report,
    )


def find_rate(
    config: str | os.PathLike[str],
    *,
    overrides: str | Sequence[str] = (),
    steps: int = 100,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RateCurve:
    """Raise the learning rates of an embedder's first stage until its loss rises; nothing is saved.

    Args:
        config: A TOML file of settings, or the name of a preset; see `train`.
        overrides: See `train`.
        steps: Steps between the lowest rate and the highest, at least 10.
        progress: Called after each step with the number of steps done and in all.

    Raises:
        UsageError: The file or preset does not exist, is not one of an embedder, or has too few steps; subclasses for
            settings, catalogues and weights.
        TrainingError: The loss is not finite from the first steps.
        MissingExtraError: A package that training needs is not installed.
    """
    if steps < 10:
        raise UsageError(f"steps must be at least 10, got {steps}")
    file, base = find_settings(os.fspath(config))
    if (task := task_of(file)) != "embedder":
        raise UsageError(f"{file}: learning rates are searched for embedders, and this is the task {task!r}")
    with extra_wanted("training", "train"):
        from lookalike.training.run.rate_finder import find_rate as find
    return find(file, overrides=several(overrides), base=base, steps=steps, progress=progress)
