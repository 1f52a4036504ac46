"""Unreadable training photos: each is replaced by another one and recorded, up to a limit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from lookalike.catalogue.protocol import Skip
from lookalike.errors import PhotoError, TrainingError
from lookalike.training.data.batch import View
from lookalike.training.data.dataset import TrainingPhotos

MOST_TRIES = 20

LoadedView = tuple[Tensor, int, int, int, str]
"""Augmented photo (3, H, W), its place and role, the requested place, and the reason if that one was unreadable."""


class ReadablePhotos(Dataset[LoadedView]):
    """Training photos; an unreadable one is replaced by another of its product, or else by the next photo.

    Args:
        photos: Photos to load.
    """

    def __init__(self, photos: TrainingPhotos) -> None:
        self.photos = photos

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, view: View | tuple[int, int]) -> LoadedView:
        """Load a view, or its replacement; deterministic for a given view.

        Raises:
            TrainingError: None of `MOST_TRIES` photos can be read.
        """
        wanted, seed, role = View(*view)
        reason = ""
        for number, place in zip(range(MOST_TRIES), self._candidates(wanted), strict=False):
            try:
                changed, shown, role = self.photos[View(place, seed + number, role)]
            except PhotoError as error:
                reason = reason or str(error)
            else:
                return changed, shown, role, wanted, reason
        raise TrainingError(f"none of {MOST_TRIES} training photos can be read; the first: {reason}")

    def _candidates(self, wanted: int) -> Iterator[int]:
        yield wanted
        others = np.flatnonzero(self.photos.products == self.photos.products[wanted])
        yield from (int(place) for place in others if place != wanted)
        yield from (place % len(self.photos) for place in range(wanted + 1, wanted + len(self.photos)))


class UnreadablePhotos:
    """Record of unreadable photos, with a limit.

    Args:
        most: Largest number of unreadable photos.

    Attributes:
        skipped: Reason by name of the photo.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.skipped: dict[str, str] = {}

    def note(self, photo: str, reason: str) -> bool:
        """Record a photo.

        Returns:
            Whether it was not recorded before.

        Raises:
            TrainingError: The limit is exceeded.
        """
        if photo in self.skipped:
            return False
        self.skipped[photo] = reason
        if len(self.skipped) > self.most:
            raise TrainingError(
                f"{len(self.skipped)} photos cannot be read, and the setting `unreadable` allows {self.most}; "
                f"the last: {reason}"
            )
        return True

    def rows(self) -> list[Skip]:
        """Return the recorded photos in order."""
        return [Skip(photo, reason) for photo, reason in self.skipped.items()]
