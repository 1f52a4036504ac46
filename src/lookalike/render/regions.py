"""Marks of the regions of a photo that agree with another one: in colour and bright, the rest grey and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image

from lookalike.answers import Match, Regions
from lookalike.render.thumbnails import Thumbnail
from lookalike.types import Float32

CAPTION: Final = "brighter: agrees more"

DARKEST: Final = 0.4
"""Brightness of regions that do not agree, which are grey."""

WHOLE: Final = 0.45
"""Agreement from which on a region is shown as it is: in the drawn sample, the median of the largest cell is 0.77 in
matches of the same product, and 0.46 in others."""


def marked(photo: Thumbnail, regions: Regions | None) -> Thumbnail:
    """Mark the regions of a photo, within the part that was looked at.

    Args:
        photo: Thumbnail of the whole photo, with the frame of that part.
        regions: Regions of that part; None leaves the photo as it is.
    """
    if photo.image is None or regions is None:
        return photo
    shown = np.minimum(agreement_of_pixels(photo.image.size, photo.frame, regions) / WHOLE, 1.0)[..., None]
    pixels = np.asarray(photo.image, dtype=np.float32)
    grey = np.asarray(photo.image.convert("L"), dtype=np.float32)[..., None] * DARKEST
    return replace(photo, image=Image.fromarray((pixels * shown + grey * (1 - shown)).round().astype(np.uint8)))


def agreement_of_pixels(
    size: tuple[int, int], frame: tuple[float, float, float, float] | None, regions: Regions
) -> Float32:
    """Agreement of each pixel of a photo, (height, width) float32 in [0, 1], interpolated; 0 outside of the frame.

    Args:
        size: Width and height of the photo, in pixels.
        frame: Left, top, right and bottom of the part that was looked at, as fractions of the photo; None is all of it.
        regions: Regions of that part.
    """
    part = pixels_of(frame or (0.0, 0.0, 1.0, 1.0), (0, 0, *size))
    area = pixels_of(regions.area, part)
    cells = Image.fromarray(regions.agreement.astype(np.float32))
    smooth = cells.resize((max(1, area[2] - area[0]), max(1, area[3] - area[1])), Image.Resampling.BICUBIC)
    whole = Image.new("F", size)
    whole.paste(smooth, area[:2])
    seen = np.zeros(size[::-1], dtype=np.float32)
    seen[part[1] : part[3], part[0] : part[2]] = 1.0
    agreed: Float32 = np.clip(np.asarray(whole), 0.0, 1.0) * seen
    return agreed


def pixels_of(
    fractions: tuple[float, float, float, float], within: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of fractions of a rectangle, in whole pixels."""
    left, top, right, bottom = within
    across, down = right - left, bottom - top
    x1, y1, x2, y2 = fractions
    return round(left + x1 * across), round(top + y1 * down), round(left + x2 * across), round(top + y2 * down)


def query_regions(matches: Sequence[Match]) -> Regions | None:
    """Regions of the query that agree with its matches on average; None if no match is explained."""
    each = [match.explanation.query for match in matches if match.explanation is not None]
    return Regions(np.mean([regions.agreement for regions in each], axis=0), each[0].area) if each else None


def match_regions(match: Match) -> Regions | None:
    """Regions of a match that agree with the query; None if it is not explained."""
    return None if match.explanation is None else match.explanation.match
