"""Task of a settings file: an embedder, a finder or a text encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lookalike.errors import ConfigError
from lookalike.storage.toml_file import read_toml

Task = Literal["embedder", "finder", "text"]


def task_of(path: Path) -> Task:
    """Task named in a settings file; `embedder` if it names none or is not a TOML file."""
    try:
        named = read_toml(path).get("task", "embedder")
    except ConfigError:
        return "embedder"
    return named if named in ("finder", "text") else "embedder"
