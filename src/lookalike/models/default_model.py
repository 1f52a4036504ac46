"""The default model, shipped with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SHIPPED: Final = "default"
"""Name of the default model."""

SHIPPED_MODEL: Final = Path(__file__).parent / "default" / "model.onnx"
