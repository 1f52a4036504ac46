"""Labelled photos for the colour benchmarks: reading from a table, and pasting onto other photos."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from lookalike.images import open_image
from lookalike.types import Bool

WHITE = 238  # smallest value of all three channels of a white background pixel
UNKNOWN = ("", "NA")


@dataclass(frozen=True, slots=True)
class Photo:
    """A row of the table.

    Attributes:
        path: Path of the file.
        label: Name of its colour; empty where unknown.
        group: Group of photos that may show the same product, and never match each other.
    """

    path: Path
    label: str
    group: str


def read_photos(table: Path, *, split: str, least: int = 0) -> list[Photo]:
    """Read a split of a CSV table.

    Args:
        table: Table with the columns `file` and `split`, and for labelled photos `baseColour`, `group_id`, `width` and
            `height`.
        split: `train` or `dev`.
        least: Smallest side, in pixels; smaller photos are left out.
    """
    with table.open(newline="", encoding="utf-8") as file:
        return [
            Photo(table.parent / row["file"], known(row.get("baseColour", "")), row.get("group_id", row["file"]))
            for row in csv.DictReader(file)
            if row["split"] == split and (not least or min(int(row["width"]), int(row["height"])) >= least)
        ]


def known(label: str) -> str:
    """Return a label, empty if it means unknown."""
    return "" if label in UNKNOWN else label


def open_all(photos: Sequence[Photo], *, at_least: int) -> list[Image.Image]:
    """Open photos, in order."""
    with ThreadPoolExecutor() as threads:
        return list(threads.map(lambda photo: open_image(photo.path, at_least=at_least), photos))


def garment(photo: Image.Image) -> Bool | None:
    """Segment a garment on a white background: (H, W) bool; None for other backgrounds."""
    pixels = np.asarray(photo)
    white, _ = ndimage.label(pixels.min(axis=2) >= WHITE)
    edge = np.concatenate([white[0], white[:, 0], white[:, -1]])
    outside = np.setdiff1d(np.concatenate([edge, white[-1]]), 0)
    mask = ~np.isin(white, outside)
    return mask if (edge > 0).mean() > 0.75 and 0.03 < mask.mean() < 0.9 else None


def paste(photo: Image.Image, onto: Image.Image, random: np.random.Generator, *, largest: float) -> Image.Image | None:
    """Cut the garment out and paste it, in other light, on a crop of another photo.

    Args:
        photo: Square photo of a garment on white.
        onto: Background photo.
        random: Random generator of crop, light, size and position.
        largest: Largest longer side of the garment, as a fraction of the photo's; above 1 it may exceed the photo.

    Returns:
        A photo of the same size; None if the garment cannot be cut out.
    """
    mask = garment(photo)
    if mask is None:
        return None
    side = photo.width
    part = random.uniform(0.4, 0.95)
    width, height = int(onto.width * part), int(onto.height * part)
    left, top = random.integers(onto.width - width + 1), random.integers(onto.height - height + 1)
    scene = onto.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, left + width, top + height))

    light = (np.asarray(photo, dtype=np.float32) / 255) ** random.uniform(0.85, 1.15)
    light = light * random.uniform(0.94, 1.06, 3) * random.uniform(0.85, 1.1)
    lit = Image.fromarray((light * 255).clip(0, 255).astype(np.uint8))
    cut = Image.fromarray(mask.astype(np.uint8) * 255)
    bounds = cut.getbbox()
    scale = random.uniform(0.5, largest) * side / max(bounds[2] - bounds[0], bounds[3] - bounds[1])
    size = (max(2, int((bounds[2] - bounds[0]) * scale)), max(2, int((bounds[3] - bounds[1]) * scale)))
    place = [int((side - length) * np.clip(random.normal(0.5, 0.2), 0, 1)) for length in size]
    shapes = [image.resize(size, Image.Resampling.BILINEAR, box=bounds) for image in (lit, cut)]
    scene.paste(shapes[0], (place[0], place[1]), shapes[1])
    return scene


def paste_all(
    photos: Sequence[Photo], backgrounds: Sequence[Photo], *, seed: int, largest: float, side: int = 128
) -> dict[int, Image.Image]:
    """Paste photos that can be cut out onto backgrounds; returns square images of `side` pixels by photo number."""
    random = np.random.default_rng(seed)
    scenes = open_all(backgrounds, at_least=160)
    pasted: dict[int, Image.Image] = {}
    for place, photo in enumerate(photos):
        square = open_image(photo.path, at_least=side).resize((side, side), Image.Resampling.BILINEAR)
        picture = paste(square, scenes[random.integers(len(scenes))], random, largest=largest)
        if picture is not None:
            pasted[place] = picture
    return pasted
