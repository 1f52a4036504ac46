"""Thumbnails of photos, with the position of the box, or the reason why there is no photo."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from PIL import Image

from lookalike.errors import PhotoError
from lookalike.images import Source, open_image
from lookalike.types import Box, Item

ReadPhoto: TypeAlias = Callable[[Item], Source]
"""Reads the photo of an item, as a source for `open_image`; raises PhotoError. See `Answer.read_photo`."""


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A scaled photo.

    Attributes:
        image: RGB image; None if the photo could not be opened.
        frame: Left, top, right and bottom of the box as fractions of the photo, in [0, 1]; None without a box.
        reason: Reason why there is no image.
    """

    image: Image.Image | None
    frame: tuple[float, float, float, float] | None = None
    reason: str = ""


def fit_thumbnail(photo: Image.Image, box: Box | None, *, size: tuple[int, int]) -> Thumbnail:
    """Scale a photo, down or up, to the largest size that fits, keeping its aspect ratio.

    Args:
        photo: Whole photo, upright.
        box: Box in pixels of the photo.
        size: Largest width and height, in pixels.
    """
    frame = None
    if box is not None:
        left, right = (min(x / photo.width, 1.0) for x in (box.x1, box.x2))
        top, bottom = (min(y / photo.height, 1.0) for y in (box.y1, box.y2))
        frame = (left, top, right, bottom)
    scale = min(size[0] / photo.width, size[1] / photo.height)
    within = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    return Thumbnail(photo.resize(within, Image.Resampling.LANCZOS, reducing_gap=3.0), frame)


def query_thumbnail(
    query: Image.Image | Item | None, box: Box | None, *, size: tuple[int, int], read_photo: ReadPhoto | None = None
) -> Thumbnail:
    """Scale the query photo, or the photo of the query item.

    Args:
        query: Whole photo, upright, or an item, whose photo may be missing; None for words alone.
        box: Box in pixels of the photo; that of an item is what a search with it looks at.
        size: Largest width and height, in pixels.
        read_photo: As for `item_thumbnail`.
    """
    if isinstance(query, Item):
        return item_thumbnail(query, query.parts[0], size=size, read_photo=read_photo)
    return Thumbnail(None) if query is None else fit_thumbnail(query, box, size=size)


def item_thumbnail(
    item: Item, box: Box | None, *, size: tuple[int, int], read_photo: ReadPhoto | None = None
) -> Thumbnail:
    """Open the photo of an item and scale it; if it cannot be opened, the thumbnail has the reason.

    Args:
        item: Item.
        box: Box in pixels of the photo.
        size: Largest width and height, in pixels.
        read_photo: Reads the photo; None reads `item.location`, wherever it is.
    """
    # a box is given in pixels of the full photo, so only a photo without one may be decoded at less
    at_least = None if box else max(size)
    try:
        source = item if read_photo is None else read_photo(item)
        return fit_thumbnail(open_image(source, at_least=at_least, name=item.photo), box, size=size)
    except PhotoError as error:
        return Thumbnail(None, reason=error.reason)


def data_uri(picture: Image.Image, *, quality: int) -> str:
    """Encode a picture as a `data:` URI of a JPEG, for the `img` element of HTML.

    Args:
        picture: RGB image.
        quality: JPEG quality, 1 to 95.
    """
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
