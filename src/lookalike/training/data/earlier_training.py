"""What the start of a network and its teacher were trained on, which the trained network has learnt from, too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from lookalike.embedding.model_loading import identity_of
from lookalike.errors import LookalikeError
from lookalike.models.default_model import SHIPPED
from lookalike.models.pretrained import is_weights_file
from lookalike.training.settings.run_settings import TrainingSettings
from lookalike.types import PhotoChoice

UNKNOWN: Final = PhotoChoice(False, earlier=True)
"""What is noted of a file that does not tell."""


def earlier_training(settings: TrainingSettings, *, folder: Path) -> list[PhotoChoice]:
    """Photos that the start of the network and the teacher were trained on, by what their files tell.

    Random weights have seen none. Those that a library publishes under a name, such as ImageNet's, are left out: their
    data are no catalogue.

    Args:
        settings: Settings of the run.
        folder: Folder that files are relative to.
    """
    return [replace(choice, earlier=True) for model in _models(settings) for choice in _told_by(model, folder=folder)]


def _models(settings: TrainingSettings) -> Iterator[str]:
    start = settings.network.init
    if start and (start == SHIPPED or is_weights_file(start)):
        yield start
    if settings.teacher.model:
        yield settings.teacher.model


def _told_by(model: str, *, folder: Path) -> list[PhotoChoice]:
    try:
        found = identity_of(model if model == SHIPPED else folder / model).trained_on
    except LookalikeError:  # weights of others, or a resumed run whose start is gone; a new run refuses a missing file
        found = ()
    return list(found) or [UNKNOWN]
