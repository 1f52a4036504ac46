"""`lookalike train`: training of models."""

from __future__ import annotations

import os
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.console import say, write
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.own_process import is_own
from lookalike.cli.progress import progress_of
from lookalike.errors import UsageError
from lookalike.training.settings.presets import presets


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
    listed: Annotated[bool, typer.Option("--list", help="List the presets, and do nothing else.")] = False,
) -> int:
    """Train a model on labelled catalogues."""
    if listed:
        list_presets()
        return 0
    if not config:
        raise UsageError("expected CONFIG.toml or the name of a preset; `lookalike train --list` lists them")
    if is_own():
        from lookalike.training.allocator import keep_freed_memory

        keep_freed_memory()  # before PyTorch is imported, whose threads may be allocating
    from lookalike.training.outcome import Stopped
    from lookalike.training.train import train as run

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
        say(f"{len(trained.skipped)} photos could not be read; {trained.checkpoint.parent}/skipped.csv lists them")
    return SOME_SKIPPED if trained.skipped else 0


def list_presets() -> None:
    """Print the presets, each with the published figure that it aims at, and the measured one."""
    for name, about in presets().items():
        write(f"{name}: {about.summary}")
        write(f"    aims at: {about.aim or 'no published figure'}")
        write(f"    measured: {about.measured}")
