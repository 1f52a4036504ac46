"""Training by the name of a preset or a file of settings, and what a run leaves; PyTorch is imported when it starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lookalike.errors import UsageError, extra_wanted
from lookalike.training.outcome import Trained
from lookalike.training.settings.presets import find_settings


def train(
    config: str | os.PathLike[str],
    *,
    overrides: Sequence[str] = (),
    resume: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train a model on catalogues with labels.

    Args:
        config: A TOML file of settings, or the name of a preset; see `lookalike.training.settings.run_settings`.
        overrides: Settings that replace those of the file, as `key=value`.
        resume: A run folder to go on with, from where its state was last saved.
        out: The run folder to make; None is `runs/NAME`.
        progress: Told after each step how many steps of how many are done.
        report: Given a line after each measure on dev, and for each photo that cannot be read.

    Raises:
        UsageError: There is no such file, preset or run folder; its kinds tell of settings, catalogues and weights.
        TrainingError: The loss is no number any more, too many photos cannot be read, or the disk is full.
        Stopped: Ctrl-C or SIGTERM came; the state is saved.
        MissingExtraError: What training needs is not installed.
    """
    file, base = find_settings(os.fspath(config))
    if resume is not None and not Path(resume).is_dir():
        raise UsageError(f"{os.fspath(resume)}: no such folder")
    with extra_wanted("training", "train"):
        from lookalike.training.run import loop
    return loop.train(
        file,
        overrides=overrides,
        base=base,
        resume=None if resume is None else Path(resume),
        out=None if out is None else Path(out),
        progress=progress,
        report=report,
    )
