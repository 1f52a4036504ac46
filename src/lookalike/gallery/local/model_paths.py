"""Paths of models in a gallery's database: those inside the gallery's folder are relative, so that it can be moved.

Of vectors that are staged or kept inside a gallery, so are those in the folder of that gallery.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lookalike.embedding.model_choice import models_of, remembered_as

INSIDE: Final = "./"
"""Beginning of a path that is relative to the gallery's folder."""

AROUND: Final = "../"
"""Beginning of a path that is relative to the folder of the gallery around it."""


def as_stored(models: str, folder: Path) -> str:
    """Models as the database keeps them; see `lookalike.embedding.model_choice.remembered_as`."""
    return remembered_as([_relative(model, folder) for model in models_of(models)])


def as_used(stored: str, folder: Path) -> str:
    """Models with the present paths of those inside the gallery's folder."""
    return remembered_as([_absolute(model, folder) for model in models_of(stored)])


def _relative(model: str, folder: Path) -> str:
    path = Path(model)
    if path.is_relative_to(folder):
        return f"{INSIDE}{path.relative_to(folder).as_posix()}"
    if (folder.parent / "gallery.db").is_file() and path.is_relative_to(folder.parent):
        return f"{AROUND}{path.relative_to(folder.parent).as_posix()}"
    return model


def _absolute(stored: str, folder: Path) -> str:
    if stored.startswith(AROUND):
        return str(folder.parent / stored.removeprefix(AROUND))
    return str(folder / stored.removeprefix(INSIDE)) if stored.startswith(INSIDE) else stored
