"""Task of a settings file: an embedder, a finder or a text encoder."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

Task = Literal["embedder", "finder", "text"]


def task_of(path: Path) -> Task:
    """Task named in a settings file; `embedder` if it names none or is not a TOML file."""
    try:
        named = tomllib.loads(path.read_text(encoding="utf-8")).get("task", "embedder")
    except (OSError, ValueError):
        return "embedder"
    return named if named in ("finder", "text") else "embedder"
