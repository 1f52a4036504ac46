"""Compilation of the backbone by `torch.compile`, and its errors in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

from lookalike.errors import ConfigError, short_reason
from lookalike.models.network import Network

COMPILERS: Final = ("torch._dynamo", "torch._inductor")
"""Packages whose errors are those of a compilation."""


def compiled_maps(network: Network, *, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Compile what a network does up to its maps, which happens at the first step; the network itself stays as it is.

    The names of its weights, and what it computes for a measure or an export, are those without compilation. Each shape
    of a batch is compiled by itself, so a resumed run computes what an uninterrupted one does.

    Args:
        network: Network to train.
        device: Device of the run.

    Raises:
        ConfigError: PyTorch cannot compile on this machine.
    """
    try:
        torch.compile(_trial)(torch.ones(8, device=device))
    except (RuntimeError, OSError, ImportError) as error:
        raise _cannot_compile(error) from None
    maps: Callable[[Tensor], Tensor] = torch.compile(network.maps, dynamic=False)
    return maps


def _trial(numbers: Tensor) -> Tensor:
    return numbers.sin().sum()


@contextmanager
def compiler_errors_told() -> Iterator[None]:
    """Turn an error of the compilers in a step into one line.

    Raises:
        ConfigError: The network cannot be compiled.
    """
    try:
        yield
    except RuntimeError as error:
        if type(error).__module__.startswith(COMPILERS):
            raise _cannot_compile(error) from None
        raise


def _cannot_compile(error: Exception) -> ConfigError:
    return ConfigError(
        f"compile = true: PyTorch cannot compile the network here: {short_reason(error)}; install a C++ compiler, such "
        "as g++, or leave compile out"
    )
