"""`lookalike sweep`: runs with different settings, compared."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say, write, write_json
from lookalike.cli.options import Json
from lookalike.cli.own_process import is_own
from lookalike.cli.progress import progress_of

if TYPE_CHECKING:
    from lookalike.training.sweep import Setup, SweptRun


def sweep(
    config: Annotated[Path, typer.Argument(metavar="SWEEP.toml", help="Settings of the sweep.")],
    json: Json = False,
) -> int:
    """Train with different values of settings, and compare the runs."""
    if is_own():
        from lookalike.training.allocator import keep_freed_memory

        keep_freed_memory()  # before PyTorch is imported, whose threads may be allocating
    from lookalike.training.outcome import Stopped
    from lookalike.training.sweep import compared
    from lookalike.training.sweep import sweep as run

    first = os.environ.get("RANK", "0") == "0"  # set by launchers of several processes
    try:
        with progress_of("steps") if first else nullcontext(lambda done, total: None) as progress:
            runs = run(config, progress=progress, report=say)
    except Stopped:
        if first:
            say(f"stopped; to go on: {shlex.join(['lookalike', 'sweep', str(config)])}")
        raise
    if not first:
        return 0
    setups = compared(runs)
    if json:
        write_json({"runs": [asdict(run) for run in runs], "setups": [asdict(setup) for setup in setups]})
    else:
        show(runs, setups)
    return 0


def show(runs: Sequence[SweptRun], setups: Sequence[Setup]) -> None:
    """Print the setups, the best first, and the best run."""
    from lookalike.training.sweep import described

    for place, setup in enumerate(setups, start=1):
        mean = "   -   " if setup.mean is None else f"{setup.mean:7.4f}"
        spread = "" if setup.deviation is None else f" sd {setup.deviation:.4f} of {setup.runs}"
        failed = f", {setup.failed} failed" if setup.failed else ""
        write(f"{place:3} {mean}{spread}{failed}  {described(setup.values)}")
    measured = [run for run in runs if run.figure is not None]
    if measured:
        best = max(measured, key=lambda run: run.figure or 0.0)
        write(f"best run: {best.checkpoint} ({described(best.values)}: {best.figure:.4f})")
