"""Metric losses and miners by their names in pytorch-metric-learning, with what the settings say of them checked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import ModuleType

import torch
from pytorch_metric_learning import distances, miners, reducers
from pytorch_metric_learning import losses as metric_losses
from torch import Tensor, nn

from lookalike.errors import ConfigError, UnknownNameError
from lookalike.training.settings.objective_settings import DRAWN_TRIPLETS, LossSettings

WRAPPERS = ("CrossBatchMemory", "MultipleLosses", "SelfSupervisedLoss")
UNFIT = (
    *("GenericPairLoss", "ManifoldLoss", "P2SGradLoss", "VICRegLoss", "HistogramLoss", "InstanceLoss"),
    *("DynamicSoftMarginLoss", "SmoothAPLoss"),
)
"""Losses that want something else than embeddings and labels, or remember what a saved state would not hold."""

FILLED_IN = ("num_classes", "embedding_size")
NAMED: Mapping[str, ModuleType] = {"distance": distances, "reducer": reducers}
"""Arguments that are objects; settings name their class."""

NOT_SETTABLE = ("self", "args", "kwargs", "weight_init_func", "weight_regularizer", "embedding_regularizer")


def known_losses() -> list[str]:
    """The names that `[[loss]]` takes, sorted."""
    theirs = [name for name in dir(metric_losses) if name.endswith("Loss") and name not in (*WRAPPERS, *UNFIT)]
    return sorted([*theirs, DRAWN_TRIPLETS])


def known_miners() -> list[str]:
    """The names that `miner` takes, sorted."""
    unfit = ("BaseMiner", "EmbeddingsAlreadyPackagedAsTriplets")
    return sorted(name for name in dir(miners) if name.endswith("Miner") and name not in unfit)


class MetricLoss(nn.Module):
    """One loss of the settings with its miner, its memory and its own parameters.

    Args:
        settings: Of this loss.
        classes: How many classes its labels have.
        embedding: D.

    Raises:
        UnknownNameError: Its name, its miner's, or that of an argument is not known.
        ConfigError: It does not take these arguments.
    """

    def __init__(self, settings: LossSettings, *, classes: int, embedding: int) -> None:
        super().__init__()
        self.settings = settings
        self.drawn = settings.name == DRAWN_TRIPLETS
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
        """The loss of a batch.

        Args:
            embeddings: (B, D) float32; of drawn triplets the rows are anchor, positive, negative, anchor, ...
            labels: (B,) int64.
        """
        if self.drawn:
            loss: Tensor = self.loss(embeddings[0::3], embeddings[1::3], embeddings[2::3])
            return loss
        found = self.miner(embeddings, labels) if self.miner is not None and not self.settings.memory else None
        loss = self.loss(embeddings, labels, found)
        return loss


class Memory(metric_losses.CrossBatchMemory):  # type: ignore[misc]
    """A cross-batch memory whose place in its ring is a buffer too, so that a saved state holds all of it."""

    def reset_queue(self) -> None:
        """Forget everything."""
        self.register_buffer("ring", torch.zeros(2, dtype=torch.int64))
        super().reset_queue()

    @property
    def queue_idx(self) -> int:
        """Where the next embedding is put."""
        return int(self.ring[0])

    @queue_idx.setter
    def queue_idx(self, place: int) -> None:
        self.ring[0] = place

    @property
    def has_been_filled(self) -> bool:
        """Whether every place holds an embedding."""
        return bool(self.ring[1])

    @has_been_filled.setter
    def has_been_filled(self, filled: bool) -> None:
        self.ring[1] = int(filled)


def parameters_of(kind: type) -> dict[str, object]:
    """The arguments that a class and those above it take by name, with their defaults."""
    found: dict[str, object] = {}
    for one in inspect.getmro(kind):
        if "__init__" in vars(one) and one not in (nn.Module, object):
            for name, parameter in inspect.signature(one).parameters.items():
                found.setdefault(name, parameter.default)
    return {name: default for name, default in found.items() if name not in NOT_SETTABLE}


def _made(
    kind: type[nn.Module], name: str, arguments: Mapping[str, object], *, filled_in: Mapping[str, object] | None = None
) -> nn.Module:
    """An object of a class, by arguments as the settings have them.

    Raises:
        UnknownNameError: It has no such argument.
        ConfigError: It does not take such a value.
    """
    known = parameters_of(kind)
    settable = [argument for argument in known if argument not in FILLED_IN]
    given: dict[str, object] = dict(filled_in or {})
    for argument, value in arguments.items():
        if argument not in settable:
            raise UnknownNameError(f"argument of {name}", argument, settable)
        is_named = argument in NAMED
        given[argument] = _named(argument, value) if is_named else _fitting(name, argument, value, known[argument])
    try:
        return kind(**given)
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f"{name}: does not take {dict(arguments)}: {_one_line(error)}") from None


def _let_tensors_follow(loss: nn.Module) -> None:
    """Make buffers of tensors that a loss keeps as plain attributes, as MarginLoss does: those stay when it moves."""
    for part in loss.modules():
        for name, value in list(vars(part).items()):
            if isinstance(value, Tensor):
                delattr(part, name)
                part.register_buffer(name, value, persistent=False)


def _named(argument: str, value: object) -> nn.Module:
    """A distance or a reducer, of its name or of a table with its name and arguments."""
    table: Mapping[str, object] = value if isinstance(value, dict) else {"name": value}
    name = str(table.get("name"))
    suffix = "Reducer" if argument == "reducer" else ""
    module = NAMED[argument]
    known = [each for each in dir(module) if each[0].isupper() and each.endswith(suffix) and "Base" not in each]
    if name not in known:
        raise UnknownNameError(argument, name, known)
    return _made(getattr(module, name), name, {key: each for key, each in table.items() if key != "name"})


def _fitting(name: str, argument: str, value: object, default: object) -> object:
    """A value, when it is of the kind of the default that it replaces."""
    kinds: Sequence[type] = (bool,) if isinstance(default, bool) else (int, float, str)
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if number:
        kinds = (int, float)
    if isinstance(value, bool) != (kinds == (bool,)) or not isinstance(value, tuple(kinds)):
        words = "a number" if number else "true or false" if kinds == (bool,) else "a number or a word"
        raise ConfigError(f"{name}: {argument} is {words}, got {value!r}")
    return value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
