"""Pictures of found garments: the photo with a labelled box for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from lookalike.render.lettering import length, write
from lookalike.render.saving import save_image
from lookalike.types import Garment

COLORS = ("#d81b60", "#1e88e5", "#2e7d32", "#8e24aa", "#ef6c00", "#00838f")
LETTERS = 14
"""Height of the labels, in pixels."""

LONGEST = 1200
"""Longer sides of photos are scaled down to this, in pixels."""


def write_garments(path: Path, photo: Image.Image, garments: Sequence[Garment]) -> None:
    """Write a photo with its garments outlined.

    Args:
        path: Picture file; its ending decides the format.
        photo: Upright RGB image.
        garments: Garments found in it.

    Raises:
        UsageError: The file cannot be written.
        LookalikeError: The disk is full, damaged or read-only.
    """
    save_image(draw_garments(photo, garments), path)


def draw_garments(photo: Image.Image, garments: Sequence[Garment]) -> Image.Image:
    """Draw the boxes, kinds and scores of garments on a copy of a photo."""
    scale = min(1.0, LONGEST / max(photo.size))
    picture = photo.resize((max(1, round(photo.width * scale)), max(1, round(photo.height * scale))))
    draw = ImageDraw.Draw(picture)
    for number, garment in reversed([*enumerate(garments)]):  # the surest on top
        color = COLORS[number % len(COLORS)]
        x1, y1, x2, y2 = (corner * scale for corner in garment.box.to_list())
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=color, width=2)
        label = f"{garment.kind} {garment.score:.2f}"
        top = max(0.0, y1 - LETTERS - 4)
        draw.rectangle((x1, top, x1 + length(label, size=LETTERS) + 6, top + LETTERS + 4), fill=color)
        write(draw, (x1 + 3, top + 1), label, size=LETTERS, color=(255, 255, 255))
    return picture
