"""Names of folders that are splits of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SPLITS: Final[Mapping[str, str]] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "dev",
    "test": "test",
}
"""Name of the split by the name of the folder."""
