"""A catalogue of twelve photos with its gallery, and the contents of the gallery for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import lookalike

COLORS = {"Red": (200, 30, 40), "Green": (30, 160, 60), "Blue": (40, 60, 190), "White": (250, 250, 250)}
TOKEN = "a-token-that-nobody-guesses"


@dataclass(frozen=True)
class Shop:
    """Where its files are."""

    folder: Path
    gallery: Path
    table: Path
    model: Path
    other_model: Path

    def photo(self, name: str) -> Path:
        return self.folder / "photos" / f"{name}.png"

    def contents(self) -> list[object]:
        """All that the gallery knows, to see whether anything has changed."""
        with lookalike.open(self.gallery) as shop:
            return [
                (item, [(name, row.tobytes()) for name, row in shop.gallery.vectors(item.id).items()])
                for item in shop.gallery.list(limit=None)[1]
            ]


def paint(color: tuple[int, int, int], number: int) -> Image.Image:
    """Cloth of a colour; the number decides its stripes."""
    pixels = np.full((60, 48, 3), 235, dtype=np.uint8)
    pixels[10:50, 8:40] = color
    if number:
        pixels[10:50:8, 8:40] = (20 * number, 20, 60)
    return Image.fromarray(pixels)
