"""Writing pictures to files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from lookalike.errors import UsageError
from lookalike.images.formats import LONGEST_SIDES
from lookalike.storage.files import not_written, write_whole


def save_image(picture: Image.Image, path: Path, *, what: str = "the picture") -> None:
    """Write a picture in the format of the file's ending.

    Args:
        picture: RGB image.
        path: File, replaced as a whole.
        what: Name of the picture in errors.

    Raises:
        UsageError: The file cannot be written, or its format has no pictures of this size.
        LookalikeError: The disk is full, damaged or read-only.
    """
    format_ = Image.registered_extensions()[path.suffix.lower()]
    if max(picture.size) > (longest := LONGEST_SIDES.get(format_, max(picture.size))):
        raise UsageError(
            f"{path}: {what} has {picture.width:,} x {picture.height:,} pixels, and a {format_} has at most "
            f"{longest:,} a side; write it as .png"
        )
    encoded = BytesIO()
    picture.save(encoded, format_, quality=90)
    try:
        write_whole(path, encoded.getvalue())
    except OSError as error:
        raise not_written(path, what, error) from None
