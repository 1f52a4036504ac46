"""Interface of galleries for those who look after them."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from lookalike.gallery.health import Health
from lookalike.types import JSON


class GalleryAdministration(Protocol):
    """Methods for administration."""

    def optimise(self) -> None:
        """Build the index at the end of an indexing run; may take seconds."""
        ...

    def info(self) -> dict[str, JSON]:
        """Describe the gallery: counts, spaces, sizes, the state of its index."""
        ...

    def close(self) -> None:
        """Close files and connections; later calls open them again."""
        ...

    @property
    def photo_folder(self) -> Path | None:
        """Folder inside the gallery for uploaded photos; None if the gallery is not a folder."""
        ...

    @property
    def skipped_list(self) -> Path | None:
        """File for the list of photos that an indexing run skipped; None if the gallery is not a folder."""
        ...

    @property
    def has_exclusive_writer(self) -> bool:
        """Whether `writing` keeps other writers out."""
        ...

    def verify(self, *, photos: bool = False) -> Health:
        """Check all data for damage and contradictions.

        Args:
            photos: Check that the files of photos exist.
        """
        ...

    def compact(self) -> None:
        """Purge removed rows.

        Raises:
            GalleryLockedError: Another process is writing.
        """
        ...

    def stored_bytes(self) -> int:
        """Bytes of the gallery's files; on a server, approximate bytes of its vectors."""
        ...

    def discard_if_unused(self) -> None:
        """Delete the gallery if this object created it and nothing was added."""
        ...
