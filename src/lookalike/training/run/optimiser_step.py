"""Optimiser steps: gradient accumulation, clipping and learning rates, on one process or several."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from timm.optim._param_groups import param_groups_layer_decay
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, AdamW, Optimizer

from lookalike.training.losses.learner import BACKBONE, Learner
from lookalike.training.outcome import NotFiniteError
from lookalike.training.run.compilation import compiler_errors_told
from lookalike.training.run.depthwise import DepthwiseGradients
from lookalike.training.run.processes import spread
from lookalike.training.settings.run_settings import StageSettings, TrainingSettings

ShardOfBatch = tuple[Tensor, Tensor, Tensor, Tensor, Sequence[str]]
"""B photos (B, 3, H, W), their places and roles, the requested places, and why those were unreadable."""


@dataclass(frozen=True, slots=True)
class OptimiserStep:
    """Record of one optimiser step.

    Attributes:
        parts: Weighted parts of the loss, by name.
        rates: Learning rates by parameter group.
        norm: Norm of the gradient over all weights, before clipping.
        batch: Checksum of the photos of the step.
    """

    parts: dict[str, float]
    rates: dict[str, float]
    norm: float
    batch: int


class OptimiserStepper:
    """Optimiser of one stage.

    Args:
        learner: Network and losses to train.
        stage: Settings of the stage.
        settings: Settings of the run.
        accelerator: Device, precision and processes.
        may_leave_out: Whether a batch may give no gradient to some parameters.
        on_unreadable: Called with the place of each unreadable photo and the reason.
    """

    def __init__(
        self,
        learner: Learner,
        stage: StageSettings,
        *,
        settings: TrainingSettings,
        accelerator: Accelerator,
        may_leave_out: bool,
        on_unreadable: Callable[[int, str], None],
    ) -> None:
        self.stage, self.settings, self.accelerator = stage, settings, accelerator
        self.on_unreadable = on_unreadable
        learner.train_stage(stage)
        if settings.compile:
            torch.compiler.reset()  # what another stage has compiled does not fit, or is found in PyTorch's cache
        self.optimizer: Optimizer = accelerator.prepare_optimizer(make_optimizer(learner, stage, settings))
        self.model = spread(learner, accelerator, may_leave_out=may_leave_out)

    def step(self, batches: Iterator[ShardOfBatch], *, number: int, factor: float) -> OptimiserStep:
        """Take one step.

        Args:
            batches: Source of batches.
            number: Number of the step in the run, from 0; it seeds the dropout.
            factor: Factor of the stage's learning rates.

        Raises:
            TrainingError: The loss or its gradient is not finite.
            ConfigError: The network cannot be compiled.
        """
        settings, accelerator = self.settings, self.accelerator
        rates = self._set_rates(factor)
        self.optimizer.zero_grad(set_to_none=True)
        parts: dict[str, float] = {}
        checksum = 0
        for taken in range(1, settings.accumulation + 1):
            photos, places, roles, wanted, reasons = next(batches)
            for asked, place, reason in zip(wanted.tolist(), places.tolist(), reasons, strict=True):
                if asked != place:
                    self.on_unreadable(asked, reason)
            checksum = zlib.crc32(places.numpy().tobytes(), checksum)
            # After taking the batch: a loader that starts draws a random number too.
            seed = zlib.crc32(f"{settings.seed} {number} {taken} {accelerator.process_index}".encode())
            seed_dropout(seed, accelerator.device)
            with nullcontext() if taken == settings.accumulation else _without_gradient_sync(self.model):
                for name, value in self._backward(photos, places, roles, number=number).items():
                    parts[name] = parts.get(name, 0.0) + value
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        norm = float(accelerator.clip_grad_norm_(weights, settings.clip_norm or math.inf))
        if not math.isfinite(norm) and accelerator.scaler is None:  # a gradient scaler skips such a step itself
            raise _not_finite(number, f"the length of the gradient is {norm}")
        self.optimizer.step()
        return OptimiserStep(parts, rates, norm, checksum)

    def _backward(self, photos: Tensor, places: Tensor, roles: Tensor, *, number: int) -> dict[str, float]:
        """Accumulate the gradients of one batch; return the parts of its loss, scaled by its share in the step."""
        device, share = self.accelerator.device, 1.0 / self.settings.accumulation
        photos = photos.to(device, memory_format=torch.channels_last, non_blocking=True)
        with compiler_errors_told():
            losses: dict[str, Tensor] = self.model(photos, places.to(device), roles.to(device))
        parts = {name: share * float(part.detach()) for name, part in losses.items()}
        if not all(map(math.isfinite, parts.values())):
            raise _not_finite(number, ", ".join(f"{name} is {value}" for name, value in parts.items()))
        bf16_on_cpu = device.type == "cpu" and self.settings.precision == "bf16"
        with compiler_errors_told(), DepthwiseGradients() if bf16_on_cpu else nullcontext():
            self.accelerator.backward(share * torch.stack(list(losses.values())).sum())
        return parts

    def _set_rates(self, factor: float) -> dict[str, float]:
        rates = {"new layers": factor * self.stage.learning_rate, "backbone": factor * self.stage.backbone_rate}
        for group in self.optimizer.param_groups:
            group["lr"] = rates["backbone" if group["backbone"] else "new layers"] * group.get("lr_scale", 1.0)
        return rates


def seed_dropout(seed: int, device: torch.device) -> None:
    """Seed the random numbers of this process's device, as `torch.manual_seed` does.

    On a machine without a GPU in use, that one formats a stack trace for the GPUs at each call.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def make_optimizer(learner: Learner, stage: StageSettings, settings: TrainingSettings) -> Optimizer:
    """Make the optimiser of a stage, with parameter groups for new layers and for the backbone, unless it is frozen.

    Weight decay applies to matrices and convolutions only; it would pull the scales of normalisation layers to 0. With
    `layer_decay` each layer of the backbone, as timm divides it, has a group with its factor, `lr_scale`.
    """
    groups: list[dict[str, object]] = []
    by_layer = stage.backbone_rate > 0 and stage.layer_decay < 1
    if by_layer:
        layers = param_groups_layer_decay(
            learner.network.backbone, weight_decay=settings.weight_decay, layer_decay=stage.layer_decay
        )
        groups += [{**layer, "backbone": True} for layer in layers]
    for backbone in (False, True) if stage.backbone_rate and not by_layer else (False,):
        named = [weight for name, weight in learner.named_parameters() if name.startswith(BACKBONE) == backbone]
        for decays in (True, False):
            chosen = [weight for weight in named if (weight.ndim > 1) == decays]
            decay = {} if decays else {"weight_decay": 0.0}
            groups.append({"params": chosen, "backbone": backbone, **decay})
    if settings.optimizer == "sgd":
        return SGD(groups, lr=0.0, momentum=settings.momentum, weight_decay=settings.weight_decay)
    return AdamW(groups, lr=0.0, weight_decay=settings.weight_decay)


def _without_gradient_sync(model: nn.Module) -> AbstractContextManager[None]:
    """Accumulate gradients without exchanging them between processes."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


def _not_finite(step: int, what: str) -> NotFiniteError:
    return NotFiniteError(
        f"the loss is not finite after step {step} ({what}): start again with lower learning rates, a longer "
        f'warmup or precision = "no"; the checkpoints made before are kept'
    )
