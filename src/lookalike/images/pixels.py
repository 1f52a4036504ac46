"""Photos given as pixels: Pillow images and arrays."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lookalike.errors import PhotoError, UsageError
from lookalike.images.formats import check_pixels, no_warnings
from lookalike.images.source import Limits, Source


def picture_of(source: Source, *, limits: Limits, name: str) -> Image.Image | None:
    """Copy the pixels of a Pillow image or an array; None for other sources.

    Args:
        source: Photo.
        limits: `limits.pixels` is the largest width x height.
        name: Name of the photo in errors.

    Raises:
        UsageError: An array is not (H, W, 3) uint8.
        PhotoError: There are no pixels or too many, or a Pillow image cannot be decoded.
    """
    if isinstance(source, np.ndarray):
        if source.ndim != 3 or source.shape[2] != 3 or source.dtype != np.uint8:
            shape = ", ".join(map(str, source.shape)) + ("," if source.ndim == 1 else "")
            raise UsageError(
                f"expected an array (H, W, 3) of uint8, red first, got ({shape}) of {source.dtype}; "
                "give several photos as a list of arrays"
            )
        _check_size((source.shape[1], source.shape[0]), limits, name)
        return Image.fromarray(source).copy()
    if not isinstance(source, Image.Image):
        return None
    _check_size(source.size, limits, name)
    try:
        with no_warnings():
            return _copy_of(source)
    except Exception as error:
        raise PhotoError(name, "this Pillow image cannot be decoded; was its file closed?") from error


def _copy_of(image: Image.Image) -> Image.Image:
    """Load a Pillow image and copy it.

    Pillow memory-maps uncompressed TIFF by file name with the upright size, which garbles images stored sideways; an
    empty `filename` prevents the mapping. It also ignores an orientation of type BYTE.
    """
    if image.format != "TIFF" or not getattr(image, "tile", None):
        return image.copy()
    from lookalike.images.tiff import ORIENTATION

    way = image.tag_v2.get(ORIENTATION)  # type: ignore[attr-defined]
    file = image.filename  # type: ignore[attr-defined]
    image.filename = ""  # type: ignore[attr-defined]
    try:
        image.load()
    finally:
        image.filename = file  # type: ignore[attr-defined]
    picture = image.copy()
    if isinstance(way, bytes):
        picture.info["orientation"] = way[0]
    return picture


def _check_size(size: tuple[int, int], limits: Limits, name: str) -> None:
    if 0 in size:
        raise PhotoError(name, "the image has no pixels")
    check_pixels(size, limits.pixels, name)
