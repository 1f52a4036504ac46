"""Steps of a run on processors that give the same weights each time, whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import deterministic


@contextmanager
def deterministic_sums(device: str) -> Iterator[None]:
    """Add gradients up in one order: threads would add those of a row that is indexed several times as they come.

    On a GPU nothing is changed: PyTorch has no such kernel for some operations, and the others are slower.

    Args:
        device: Type of the device, `cpu` or `cuda`.
    """
    if device != "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = deterministic  # has no types
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = False  # which would take time for nothing
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filled
