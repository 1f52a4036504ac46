"""Metric losses and miners of pytorch-metric-learning by name, with checked arguments."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

import torch
from pytorch_metric_learning import distances, miners, reducers
from pytorch_metric_learning import losses as metric_losses
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ConfigError, UnknownNameError
from lookalike.training.losses.argument_types import ARGUMENT_TYPES, check_argument
from lookalike.training.settings.objective_settings import DRAWN_TRIPLETS, LossSettings

WRAPPERS = ("CrossBatchMemory", "MultipleLosses", "SelfSupervisedLoss")
UNFIT = (
    *("GenericPairLoss", "ManifoldLoss", "P2SGradLoss", "VICRegLoss", "HistogramLoss", "InstanceLoss"),
    *("DynamicSoftMarginLoss", "SmoothAPLoss"),
)
"""Losses that need other inputs than embeddings and labels, or have state outside `state_dict`."""

NAMED: Mapping[str, ModuleType] = {"distance": distances, "reducer": reducers}
"""Arguments that are objects, given by class name in the settings."""

UNFIT_OBJECTS = ("BatchedDistance", "ClassWeightedReducer", "DivisorReducer", "DoNothingReducer")
"""Distances and reducers that need other inputs, or give no single number."""

UNFIT_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What pytorch-metric-learning raises for arguments that do not fit each other."""


def known_losses() -> list[str]:
    """Return the names of the metric losses, sorted."""
    theirs = [name for name in dir(metric_losses) if name.endswith("Loss") and name not in (*WRAPPERS, *UNFIT)]
    return sorted([*theirs, DRAWN_TRIPLETS])


def known_miners() -> list[str]:
    """Return the names of the miners, sorted."""
    unfit = ("BaseMiner", "EmbeddingsAlreadyPackagedAsTriplets")
    return sorted(name for name in dir(miners) if name.endswith("Miner") and name not in unfit)


class MetricLoss(nn.Module):
    """One metric loss with its miner, its memory and its own parameters.

    Args:
        settings: Settings of the loss.
        classes: Number of classes of its labels.
        embedding: D, the dimension of the embedding.

    Raises:
        UnknownNameError: The name of the loss, of its miner or of an argument is unknown.
        ConfigError: The loss does not take these arguments.
    """

    def __init__(self, settings: LossSettings, *, classes: int, embedding: int) -> None:
        super().__init__()
        self.settings = settings
        self.drawn = settings.name == DRAWN_TRIPLETS
        self.miner: nn.Module | None = None
        if self.drawn:
            self.loss: nn.Module = _made(nn.TripletMarginLoss, settings.name, settings.arguments)
            return
        if settings.name not in known_losses():
            raise UnknownNameError("metric loss", settings.name, known_losses())
        kind = getattr(metric_losses, settings.name)
        filled = {"num_classes": classes, "embedding_size": embedding}
        given = {name: value for name, value in filled.items() if name in parameters_of(kind)}
        self.loss = _made(kind, settings.name, settings.arguments, filled_in=given)
        _let_tensors_follow(self.loss)
        self.miner = self._miner() if settings.miner else None
        if settings.memory:
            self.loss = self._with_memory(embedding)

    def _miner(self) -> nn.Module:
        settings = self.settings
        if settings.miner not in known_miners():
            raise UnknownNameError("miner", settings.miner, known_miners())
        arguments = dict(settings.miner_arguments)
        if "distance" in settings.arguments:
            arguments.setdefault("distance", settings.arguments["distance"])
        return _made(getattr(miners, settings.miner), settings.miner, arguments)

    def _with_memory(self, embedding: int) -> nn.Module:
        able = Memory.supported_losses()
        if self.settings.name not in able:
            raise ConfigError(f"{self.settings.name} cannot use a memory; those that can: {', '.join(able)}")
        return Memory(self.loss, embedding, memory_size=self.settings.memory, miner=self.miner)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            embeddings: (B, D) float32; rows of drawn triplets are anchor, positive, negative, anchor, ...
            labels: (B,) int64.
        """
        if self.drawn:
            loss: Tensor = self.loss(embeddings[0::3], embeddings[1::3], embeddings[2::3])
            return loss
        found = self.miner(embeddings, labels) if self.miner is not None and not self.settings.memory else None
        loss = self.loss(embeddings, labels, found)
        return loss


class Memory(metric_losses.CrossBatchMemory):  # type: ignore[misc]
    """A cross-batch memory with its ring position in buffers, so that `state_dict` is complete."""

    def reset_queue(self) -> None:
        """Empty the memory."""
        self.register_buffer("ring", torch.zeros(2, dtype=torch.int64))
        super().reset_queue()

    @property
    def queue_idx(self) -> int:
        """Position of the next embedding in the ring."""
        return int(self.ring[0])

    @queue_idx.setter
    def queue_idx(self, place: int) -> None:
        self.ring[0] = place

    @property
    def has_been_filled(self) -> bool:
        """Whether the ring is full."""
        return bool(self.ring[1])

    @has_been_filled.setter
    def has_been_filled(self, filled: bool) -> None:
        self.ring[1] = int(filled)


def parameters_of(kind: type) -> dict[str, object]:
    """Return the named arguments of a class and its bases, with their defaults."""
    found: dict[str, object] = {}
    for one in inspect.getmro(kind):
        if "__init__" in vars(one) and one not in (nn.Module, object):
            for name, parameter in inspect.signature(one).parameters.items():
                found.setdefault(name, parameter.default)
    return found


def _made(
    kind: type[nn.Module], name: str, arguments: Mapping[str, object], *, filled_in: Mapping[str, object] | None = None
) -> nn.Module:
    """Make an object from the arguments of the settings.

    Raises:
        UnknownNameError: The class has no such argument.
        ConfigError: The class does not take the value.
    """
    known = parameters_of(kind)
    settable = [argument for argument in known if argument in ARGUMENT_TYPES or argument in NAMED]
    given: dict[str, object] = dict(filled_in or {})
    for argument, value in arguments.items():
        if argument not in settable:
            raise UnknownNameError(f"argument of {name}", argument, settable)
        is_named = argument in NAMED
        default = known[argument]
        given[argument] = (
            _named(argument, value) if is_named else check_argument(name, argument, value, default=default)
        )
    try:
        return kind(**given)
    except UNFIT_ERRORS as error:
        raise ConfigError(f"{name}: does not take {dict(arguments)}: {_one_line(error)}") from None


def _let_tensors_follow(loss: nn.Module) -> None:
    """Register plain tensor attributes of a loss, as MarginLoss has, as buffers, so that they move with the module."""
    for part in loss.modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, Tensor):
                delattr(part, name)
                part.register_buffer(name, value, persistent=False)


def _named(argument: str, value: object) -> nn.Module:
    """Make a distance or a reducer from its name, or from a table with its name and arguments."""
    table: Mapping[str, object] = value if isinstance(value, dict) else {"name": value}
    name = str(table.get("name"))
    suffix = "Reducer" if argument == "reducer" else ""
    module = NAMED[argument]
    known = [each for each in dir(module) if each[0].isupper() and each.endswith(suffix) and "Base" not in each]
    known = [each for each in known if each not in UNFIT_OBJECTS]
    if name not in known:
        raise UnknownNameError(argument, name, known)
    return _made(getattr(module, name), name, {key: each for key, each in table.items() if key != "name"})


def check_it_computes(settings: LossSettings) -> None:
    """Compute a loss and its miner once, on a few random embeddings, before photos are read for it.

    Some arguments exclude each other, which pytorch-metric-learning notices in the first batch only.

    Raises:
        ConfigError: It cannot be computed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        loss = MetricLoss(replace(settings, memory=12 if settings.memory else 0), classes=4, embedding=8)
        embeddings = functional.normalize(torch.randn(12, 8), dim=1)
        try:
            value = loss(embeddings, torch.arange(12) // 3)
        except UNFIT_ERRORS as error:
            told = {"arguments": dict(settings.arguments), "miner": settings.miner}
            raise ConfigError(f"{settings.name}: cannot be computed with {told}: {_one_line(error)}") from None
    if not isinstance(value, Tensor) or value.ndim:
        raise ConfigError(f"{settings.name}: gives no single number with {dict(settings.arguments)}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
