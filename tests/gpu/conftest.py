"""Fixtures of the GPU tests, which need a GPU; run by `make test-gpu`."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def gpu() -> None:
    """Skip all of them on a machine without a GPU."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU, and PyTorch sees none")
