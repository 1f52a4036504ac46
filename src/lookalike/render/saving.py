"""Writing pictures to files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from lookalike.storage.files import not_written, write_whole


def save_image(picture: Image.Image, path: Path, *, what: str = "the picture") -> None:
    """Write a picture in the format of the file's ending.

    Args:
        picture: RGB image.
        path: File, replaced as a whole.
        what: Name of the picture in errors.

    Raises:
        UsageError: The file cannot be written.
        LookalikeError: The disk is full, damaged or read-only.
    """
    encoded = BytesIO()
    picture.save(encoded, Image.registered_extensions()[path.suffix.lower()], quality=90)
    try:
        write_whole(path, encoded.getvalue())
    except OSError as error:
        raise not_written(path, what, error) from None
