"""Paths of models in a gallery's database: those inside the gallery's folder are relative, so that it can be moved."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lookalike.embedding.model_choice import models_of, remembered_as

INSIDE: Final = "./"
"""Beginning of a path that is relative to the gallery's folder."""


def as_stored(models: str, folder: Path) -> str:
    """Models as the database keeps them; see `lookalike.embedding.model_choice.remembered_as`."""
    return remembered_as([_relative(model, folder) for model in models_of(models)])


def as_used(stored: str, folder: Path) -> str:
    """Models with the present paths of those inside the gallery's folder."""
    return remembered_as(
        [str(folder / model.removeprefix(INSIDE)) if model.startswith(INSIDE) else model for model in models_of(stored)]
    )


def _relative(model: str, folder: Path) -> str:
    path = Path(model)
    return f"{INSIDE}{path.relative_to(folder).as_posix()}" if path.is_relative_to(folder) else model
