"""Photos made ready to be shown: small, with the place of their box, or the reason why there is none."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from PIL import Image

from lookalike.errors import PhotoError
from lookalike.images import open_image
from lookalike.types import Box, Item

OpenItem: TypeAlias = Callable[[Item], Image.Image]
"""Opens the whole photo of an item, upright; raises PhotoError where there is none."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A photo to be shown.

    Attributes:
        image: Scaled, RGB; None when it could not be opened.
        frame: Left, top, right and bottom of the box as fractions of the photo, in [0, 1]; None without one.
        reason: Why there is no picture.
    """

    image: Image.Image | None
    frame: tuple[float, float, float, float] | None = None
    reason: str = ""


def fit_thumbnail(photo: Image.Image, box: Box | None, *, size: tuple[int, int]) -> Thumbnail:
    """Scale a photo, down or up, so that all of it just fits into a size, undistorted.

    Args:
        photo: All of it, upright.
        box: In its pixels.
        size: Width and height in pixels.
    """
    frame = None
    if box is not None:
        left, right = (min(x / photo.width, 1.0) for x in (box.x1, box.x2))
        top, bottom = (min(y / photo.height, 1.0) for y in (box.y1, box.y2))
        frame = (left, top, right, bottom)
    scale = min(size[0] / photo.width, size[1] / photo.height)
    within = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    return Thumbnail(photo.resize(within, Image.Resampling.LANCZOS, reducing_gap=3.0), frame)


def query_thumbnail(query: Image.Image | Item, box: Box | None, *, size: tuple[int, int]) -> Thumbnail:
    """Scale what was asked with.

    Args:
        query: All of a photo, upright, or an item, whose photo need not be there any more.
        box: In the photo's pixels; that of an item is its own.
        size: As for `fit_thumbnail`.
    """
    return item_thumbnail(query, size=size) if isinstance(query, Item) else fit_thumbnail(query, box, size=size)


def item_thumbnail(item: Item, *, size: tuple[int, int], open_item: OpenItem | None = None) -> Thumbnail:
    """Open an item's photo and scale it; a photo that is gone is no reason to show nothing.

    Args:
        item: Whose photo.
        size: As for `fit_thumbnail`.
        open_item: How to open it; None goes by `item.location`.
    """
    if open_item is None:
        # a box is given in pixels of the full photo, so only a photo without one may be decoded at less
        at_least = None if item.box else max(size)
        open_item = partial(_open_location, at_least=at_least)
    try:
        return fit_thumbnail(open_item(item), item.box, size=size)
    except PhotoError as error:
        return Thumbnail(None, reason=error.reason)


def _open_location(item: Item, *, at_least: int | None) -> Image.Image:
    return open_image(item, at_least=at_least, name=item.photo)


def data_uri(picture: Image.Image, *, quality: int) -> str:
    """A picture as the address that an `img` of HTML shows without any other file.

    Args:
        picture: RGB.
        quality: Of the JPEG, 1 to 95.
    """
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
