"""Lengths of a resumed run: its stages may be longer or shorter than they were to be, but not than they are already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lookalike.errors import ConfigError
from lookalike.training.run.run_log import RunPosition
from lookalike.training.run.schedule import PlateauTracker


def changed_lengths(
    before: Sequence[int], now: Sequence[int], *, taken: Sequence[int], setting: str, folder: Path
) -> list[str]:
    """Compare the lengths of the stages of a resumed run with those that they were to have.

    A stage may change until a step of a later one is taken. Its learning rates go on as those of a stage of the new
    length.

    Args:
        before: Steps that each stage was to have when the state was saved.
        now: Steps that each stage is to have.
        taken: Steps that each stage has taken; stages that have not begun may be left out.
        setting: Setting with the length, such as `stage.{}.epochs`.
        folder: Run folder, for messages.

    Returns:
        A line for each stage that changes.

    Raises:
        ConfigError: A stage has taken more steps than it is to have, or a later one has begun.
    """
    begun = max((stage for stage, steps in enumerate(taken) if steps), default=0)
    lines = []
    for stage, (old, new) in enumerate(zip(before, now, strict=True)):
        if old == new:
            continue
        name = setting.format(stage)
        if stage < begun:
            raise ConfigError(
                f"{folder}: {name} makes {new:,} steps of the {old:,} of a stage that has ended, and the next one has "
                "begun; give it the value that it had, or begin a new run with another name"
            )
        done = taken[stage] if stage < len(taken) else 0
        if new < done:
            raise ConfigError(
                f"{folder}: {name} makes {new:,} steps, and {done:,} are taken; expected at least as many, or begin a "
                "new run with another name"
            )
        lines.append(
            f"{name}: {new:,} steps in place of {old:,}, of which {done:,} are taken; the learning rates go on as "
            f"those of {new:,}"
        )
    return lines


def change_lengths(
    before: Sequence[int],
    now: Sequence[int],
    *,
    position: RunPosition,
    plateau: PlateauTracker,
    early_stop: int,
    folder: Path,
) -> list[str]:
    """Go on with stages of other lengths than they were to have; the last one that took steps, if it is longer now.

    Args:
        before: Steps that each stage was to have.
        now: Steps that each stage is to have.
        position: Position of the run; it changes.
        plateau: Measures of the run; it changes.
        early_stop: Measures without improvement that end a stage; 0 if none do.
        folder: Run folder, for messages.

    Returns:
        A line for each stage that changes.

    Raises:
        ConfigError: See `changed_lengths`.
    """
    taken = [*position.ended, position.step]
    changes = changed_lengths(before, now, taken=taken, setting="stage.{}.epochs", folder=folder)
    if changes and position.reopen_stage(before, now):
        plateau.go_on(early_stop=early_stop)
    return changes
