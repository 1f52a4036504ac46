"""How a run begins: its data and its learner, and what is reported before the first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from lookalike.errors import LookalikeError
from lookalike.models.backbones import check_layers, checkpoint_gradients
from lookalike.models.network import Network
from lookalike.training.data.data_record import record_or_compare, training_content
from lookalike.training.data.training_data import TrainingData
from lookalike.training.losses.learner import Learner
from lookalike.training.run.compilation import compiled_maps
from lookalike.training.run.run_folder import TEACHER


def begin_data(
    folder: Path,
    data: TrainingData,
    *,
    resumed: bool,
    is_recorded: bool,
    accelerator: Accelerator,
    report: Callable[[str], None],
) -> None:
    """Record the data of a new run, or compare those of a resumed one, and read the embeddings of the teacher.

    Args:
        folder: Run folder.
        data: Training data.
        resumed: Whether the run is resumed.
        is_recorded: Whether the data are recorded and compared.
        accelerator: Processes; the first one does it for all.
        report: Called with a line if the teacher has embedded photos.

    Raises:
        LookalikeError: See `record_or_compare` and `TrainingData.read_teacher`; of the former in every process.
    """
    if is_recorded:
        _record_or_compare_in_first(folder, data, resumed=resumed, accelerator=accelerator)
    if data.settings.teacher.model:
        content = training_content(folder) if is_recorded else ""
        with accelerator.main_process_first():
            data.read_teacher(folder / TEACHER, content=content, resumed=resumed, report=report)


def _record_or_compare_in_first(folder: Path, data: TrainingData, *, resumed: bool, accelerator: Accelerator) -> None:
    faults: list[LookalikeError | None] = [None]
    if accelerator.is_main_process:
        try:
            record_or_compare(folder, data.rows(), resumed=resumed, chosen_by=data.chosen_by)
        except LookalikeError as error:
            faults = [error]
    if accelerator.num_processes > 1:
        broadcast_object_list(faults)
    if faults[0] is not None:
        raise faults[0]


def make_learner(data: TrainingData, network: Network, *, accelerator: Accelerator) -> Learner:
    """Join a network with the losses of a run.

    Args:
        data: Training data.
        network: Network of the run.
        accelerator: Device, and precision of the backbone.

    Raises:
        ConfigError: The backbone does not offer what the settings ask for, or PyTorch cannot compile here.
    """
    settings = data.settings
    learner = Learner(
        network,
        data.make_objective(network),
        batch_of=data.photos.batch,
        maps=compiled_maps(network, device=accelerator.device) if settings.compile else None,
        mixing=settings.augmentation if settings.augmentation.mixes else None,
        autocast=accelerator.autocast,
    )
    if settings.gradient_checkpointing:
        checkpoint_gradients(network.backbone, settings.network.backbone)
    if any(stage.layer_decay < 1 for stage in settings.stage):
        check_layers(network.backbone, settings.network.backbone)
    return learner


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
