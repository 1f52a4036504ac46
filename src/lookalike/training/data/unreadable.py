"""Training photos that cannot be read: another one is shown instead, and it is taken down, up to a limit."""

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

Shown = tuple[Tensor, int, int, int, str]
"""A changed photo (3, H, W), its place and role, the place that was asked for, and why that one is not shown."""


class ReadablePhotos(Dataset[Shown]):
    """Training photos where an unreadable one is replaced: by another of its product, else by the next.

    Args:
        photos: To be read.
    """

    def __init__(self, photos: TrainingPhotos) -> None:
        self.photos = photos

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, view: View | tuple[int, int]) -> Shown:
        """The same view is the same tensor in every process.

        Raises:
            TrainingError: None of the photos that were tried can be read.
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


class Unreadable:
    """Which photos could not be read, and why; one too many ends the run.

    Args:
        most: Training photos that may be unreadable.

    Attributes:
        skipped: By the name of the photo.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.skipped: dict[str, str] = {}

    def note(self, photo: str, reason: str) -> bool:
        """Take a photo down.

        Returns:
            Whether it is new.

        Raises:
            TrainingError: There are too many.
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
        """All of them, in the order in which they were met."""
        return [Skip(photo, reason) for photo, reason in self.skipped.items()]
