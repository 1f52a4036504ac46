"""Data-parallel training: shards of batches, and one loss over the embeddings of all processes.

Each process loads and embeds an equal shard of every batch. The embeddings are gathered with their gradients, so the
loss sees every pair of the whole batch, as in a single process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from lookalike.errors import ConfigError
from lookalike.training.data.batch import View
from lookalike.training.settings.run_settings import Device, Precision

LONGEST_WAIT = timedelta(hours=4)
"""Time limit of collective operations; the other processes wait while the first one measures on dev."""


def start_processes(device: Device, precision: Precision) -> Accelerator:
    """Select the device, and join the other processes if this one was launched as one of several.

    Raises:
        ConfigError: The machine does not support the device or the precision.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError('device = "cuda": PyTorch sees no CUDA GPU on this machine; use device = "auto" or "cpu"')
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if precision == "fp16" and not on_gpu:
        raise ConfigError('precision = "fp16" needs a GPU, and this run is on the CPU; use "bf16" or "no"')
    if precision == "bf16" and on_gpu and not torch.cuda.is_bf16_supported(including_emulation=False):
        name = torch.cuda.get_device_name()
        raise ConfigError(f'precision = "bf16" is not supported by this GPU ({name}); use "fp16" or "no"')
    # The state outlives a run, and would give the next run in this process the device of the first.
    AcceleratorState._reset_state(reset_partial_state=True)
    waiting = InitProcessGroupKwargs(timeout=LONGEST_WAIT)
    # GPUs without CUDA are not used: nothing here has been tested on one.
    return Accelerator(mixed_precision=precision, cpu=not on_gpu, kwargs_handlers=[waiting])


class Shards:
    """The shards of one process: equal slices of each batch, in the order of the processes.

    Args:
        batches: Whole batches, the same in every process.
        process: Number of this process, from 0.
        processes: Number of processes.
    """

    def __init__(self, batches: Iterable[list[View]], *, process: int, processes: int) -> None:
        self.batches, self.process, self.processes = batches, process, processes

    def __iter__(self) -> Iterator[list[View]]:
        """Yield this process's shard of each batch.

        Raises:
            ConfigError: A batch cannot be divided evenly.
        """
        for batch in self.batches:
            each, rest = divmod(len(batch), self.processes)
            if rest:
                raise ConfigError(f"a batch of {len(batch)} photos cannot be divided among {self.processes} processes")
            yield batch[self.process * each : (self.process + 1) * each]


class _GatherWithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        distributed.all_reduce(summed)
        return summed.chunk(distributed.get_world_size())[distributed.get_rank()]


def gather(rows: Tensor) -> Tensor:
    """Concatenate the rows of all processes, (processes x B, ...), in the order of the processes.

    Every process computes the same loss of the result. A process's own rows get the sum of the gradients of all those
    losses; `DistributedDataParallel` then averages over the processes, so each weight gets the gradient of one loss.
    """
    if not distributed.is_initialized():
        return rows
    gathered: Tensor = _GatherWithGradient.apply(rows)
    return gathered


def spread(learner: nn.Module, accelerator: Accelerator, *, may_leave_out: bool) -> nn.Module:
    """Wrap a module in `DistributedDataParallel` if there are several processes.

    Args:
        learner: Module to wrap.
        accelerator: Processes of the run.
        may_leave_out: Whether a batch may give no gradient to some parameters, such as those of a head without labels.
    """
    if accelerator.num_processes == 1:
        return learner
    return DistributedDataParallel(
        learner,
        device_ids=[accelerator.device] if accelerator.device.type == "cuda" else None,
        find_unused_parameters=may_leave_out,
    )


def share_statistics(network: nn.Module, accelerator: Accelerator) -> bool:
    """Synchronise BatchNorm statistics over the processes; PyTorch supports this on GPUs only.

    Returns:
        False if there are BatchNorm layers that see their own process's shard only.
    """
    if accelerator.num_processes == 1 or not any(isinstance(layer, _BatchNorm) for layer in network.modules()):
        return True
    if accelerator.device.type != "cuda":
        return False
    convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return True


def any_process(flag: bool, accelerator: Accelerator) -> bool:
    """Return whether a flag is set in any process; a collective operation."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.reduce(torch.tensor(float(flag), device=accelerator.device), "sum").item() > 0)
