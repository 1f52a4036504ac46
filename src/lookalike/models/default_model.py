"""The model that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

SHIPPED: Final = "default"
"""Its name."""

SHIPPED_MODEL: Final = Path(__file__).parent / "default" / "model.onnx"
