"""Task of a settings file: an embedder or a finder."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

Task = Literal["embedder", "finder"]


def task_of(path: Path) -> Task:
    """Task named in a settings file; `embedder` if it names none or is not a TOML file."""
    try:
        named = tomllib.loads(path.read_text(encoding="utf-8")).get("task", "embedder")
    except (OSError, ValueError):
        return "embedder"
    return "finder" if named == "finder" else "embedder"
