"""Loading of training photos in worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelerate import Accelerator
from torch.utils.data import DataLoader, Sampler

from lookalike.errors import TrainingError
from lookalike.training.data.batch import View
from lookalike.training.data.unreadable import ReadablePhotos
from lookalike.training.run.interruption import leave_interruption_to_the_run
from lookalike.training.run.optimiser_step import ShardOfBatch
from lookalike.training.run.processes import Shards


def load_shards(
    photos: ReadablePhotos, sampler: Sampler[list[View]], *, workers: int, accelerator: Accelerator
) -> Iterator[ShardOfBatch]:
    """Load one process's shards of batches.

    Args:
        photos: Training photos.
        sampler: Whole batches.
        workers: Worker processes; 0 loads in this one.
        accelerator: Processes and device of the run.

    Raises:
        TrainingError: None of several photos can be read.
    """
    shards = Shards(sampler, process=accelerator.process_index, processes=accelerator.num_processes)
    loader: DataLoader[Any] = DataLoader(
        photos,
        batch_sampler=shards,
        num_workers=workers,
        worker_init_fn=leave_interruption_to_the_run,
        pin_memory=accelerator.device.type == "cuda",
    )
    try:
        yield from loader
    except TrainingError as error:  # torch prefixes the message with the worker's traceback
        raise TrainingError(str(error).rpartition(f"{TrainingError.__name__}: ")[2].strip()) from None
