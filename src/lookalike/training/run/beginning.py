"""How a run begins: its data recorded or compared, and what is reported before the first step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from lookalike.errors import LookalikeError
from lookalike.training.data.data_record import record_or_compare
from lookalike.training.data.training_data import TrainingData


def record_or_compare_in_first(folder: Path, data: TrainingData, *, resumed: bool, accelerator: Accelerator) -> None:
    """Record the data of a new run, or compare those of a resumed one, in the first process for all.

    Raises:
        LookalikeError: See `record_or_compare`; in every process.
    """
    faults: list[LookalikeError | None] = [None]
    if accelerator.is_main_process:
        try:
            record_or_compare(folder, data.rows(), resumed=resumed)
        except LookalikeError as error:
            faults = [error]
    if accelerator.num_processes > 1:
        broadcast_object_list(faults)
    if faults[0] is not None:
        raise faults[0]


def start_lines(
    folder: Path, data: TrainingData, *, steps: int, done: int, shared_statistics: bool, accelerator: Accelerator
) -> Iterator[str]:
    """Yield lines with the size of a run and its limitations.

    Args:
        folder: Run folder.
        data: Training data.
        steps: Steps of all stages.
        done: Completed steps.
        shared_statistics: Result of `share_statistics`.
        accelerator: Device and processes.
    """
    if not data.is_measured:
        yield "no dev photos, so nothing is measured: the last checkpoint counts as the best"
    else:
        yield f"the best checkpoint is chosen by {data.criterion}"
    if not shared_statistics:
        yield "BatchNorm layers see each process's part of a batch only: PyTorch synchronises them on GPUs only"
    count = accelerator.num_processes
    yield (
        f"{len(data.photos):,} photos, {steps:,} steps{f' ({done:,} done)' if done else ''} in {folder}; {count} "
        f"process{'es' if count > 1 else ''} on {accelerator.device.type}, precision {data.settings.precision}"
    )
