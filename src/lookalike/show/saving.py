"""Writing a picture into a file."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from lookalike.errors import UsageError


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture in the format of the file's ending.

    Raises:
        UsageError: The file cannot be written.
    """
    try:
        picture.save(path, quality=90)
    except OSError as error:
        raise UsageError(f"{path}: the picture cannot be written: {error.strerror or error}") from None
