"""What the tests on a GPU share: there must be one. `make test-gpu` runs them."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def gpu() -> None:
    """Skip all of them on a machine without a GPU."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU, and PyTorch sees none")
