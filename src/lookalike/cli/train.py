"""`lookalike train`: training of models."""

from __future__ import annotations

import os
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Final

import typer

from lookalike.cli.console import say, write
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.own_process import is_own
from lookalike.cli.progress import progress_of
from lookalike.counts import counted
from lookalike.errors import UsageError
from lookalike.training.settings.presets import presets

ROWS: Final = 24
"""Rows of the table of learning rates, about."""

BAR: Final = 40
"""Characters of the bar of the highest loss; the lowest one has none."""


def train(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG.toml", help="Settings of the run, or the name of a preset.")
    ] = "",
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="DIR", help="Folder of a run to resume from its last checkpoint.")
    ] = None,
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Raise the learning rates until the loss rises, and train nothing.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="List the presets, and do nothing else.")] = False,
) -> int:
    """Train a model on labelled catalogues."""
    if listed:
        list_presets()
        return 0
    if not config:
        also = " beside --resume" if resume is not None else ""
        raise UsageError(f"expected CONFIG.toml or the name of a preset{also}; `lookalike train --list` lists them")
    if is_own():
        from lookalike.training.allocator import keep_freed_memory

        keep_freed_memory()  # before PyTorch is imported, whose threads may be allocating
    from lookalike.training.outcome import Stopped
    from lookalike.training.train import train as run

    if find_rate:
        if resume is not None:
            raise UsageError("--find-rate starts from the settings alone; leave --resume out")
        show_rates(config, override or [])
        return 0
    first = os.environ.get("RANK", "0") == "0"  # set by launchers of several processes
    command = ["lookalike", "train", config, *(part for text in override or [] for part in ("--set", text))]
    try:
        with progress_of("steps") if first else nullcontext(lambda done, total: None) as progress:
            trained = run(config, overrides=override or [], resume=resume, progress=progress, report=say)
    except Stopped as stopped:
        if first:
            say(f"stopped after step {stopped.steps:,}, and saved; to resume:")
            say(shlex.join([*command, "--resume", str(stopped.folder)]))
        raise
    if first:
        write(f"best checkpoint: {trained.checkpoint}")
    if trained.skipped and first:
        table = f"{trained.checkpoint.parent}/skipped.csv"
        say(f"{counted(len(trained.skipped), 'photo')} could not be read; {table} lists them")
    return SOME_SKIPPED if trained.skipped else 0


def show_rates(config: str, overrides: list[str]) -> None:
    """Print the losses at rising learning rates."""
    from lookalike.training.train import find_rate

    with progress_of("steps") as progress:
        curve = find_rate(config, overrides=overrides, progress=progress)
    low, high = min(curve.smoothed), max(curve.smoothed)
    write(f"{'rate':>9}  {'loss':>8}")
    for place in range(0, len(curve.rates), max(1, len(curve.rates) // ROWS)):
        loss = curve.smoothed[place]
        write(f"{curve.rates[place]:9.1e}  {loss:8.4f}  {'#' * round(BAR * (loss - low) / ((high - low) or 1))}")
    write(f"the loss falls fastest at {curve.steepest:.1e}, and is least at {curve.least:.1e}")


def list_presets() -> None:
    """Print the presets, each with the figure that it aims at, where that was read, and what was tried."""
    for name, about in presets().items():
        write(f"{name}: {about.summary}")
        write(f"    aims at: {about.aim or 'no published figure'}")
        told = {"read in": about.source, "published curve": about.curve, "tried here": about.verified}
        for what, text in told.items():
            if text:
                write(f"    {what}: {text}")
        write(f"    measured: {about.measured}")
