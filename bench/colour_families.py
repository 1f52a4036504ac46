"""Name the colour family of a garment: of a catalogue's colour word, or of the garment's pixels.

    python bench/colour_families.py myntra/labels.csv

Learns the prototypes from the catalogue's train photos on white, writes `colour_families.csv` beside this program, and
prints how often the family of a dev photo's pixels is that of its colour word.

The colour of a garment is the median of its pixels in OKLab. Its family is that of the nearest prototype, where
distances are measured with less of the lightness and a compressed chroma: names of colours depend on hue even where
chroma is low (navy, olive, maroon), and little on lightness.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from colour_photos import garment
from lookalike.embedding.color import oklab
from lookalike.images import open_image
from lookalike.kinds import kind_of
from lookalike.types import Bool

Float64 = npt.NDArray[np.float64]

PROTOTYPES = Path(__file__).with_suffix(".csv")

FAMILIES = {
    "black": (),
    "white": ("off white",),
    "grey": ("grey melange", "charcoal", "silver", "steel"),
    "brown": ("coffee brown", "mushroom brown", "tan", "taupe", "rust", "bronze", "copper"),
    "beige": ("cream", "khaki", "skin", "nude"),
    "red": ("maroon", "burgundy"),
    "pink": ("peach", "magenta", "rose"),
    "orange": (),
    "yellow": ("mustard",),
    "green": ("olive", "sea green", "lime green", "fluorescent green"),
    "blue": ("navy blue", "turquoise blue", "teal"),
    "purple": ("lavender", "mauve"),
}
"""Colour words of each family, besides its name. Other words, such as `multi`, `gold` and `metallic`, name none."""

FAMILY_OF = {word: family for family, words in FAMILIES.items() for word in (family, *words)}

LIGHTNESS, TINGE = 0.5, 0.02
"""Factor of the lightness, and the chroma that the light of a street often adds to grey: below it nothing is
compressed. Without it, a quarter of the garments worn in street photos would be blue."""

MIDDLE = 0.6
"""Part of the width and height of a catalogue garment whose pixels count: what a model wears besides lies outside."""

SIDE = 120
"""Longest side that catalogue photos are reduced to, in pixels."""


def family_of(word: str) -> str | None:
    """Colour family of a catalogue's colour word, in any case; None if it names none or several."""
    return FAMILY_OF.get(word.strip().lower())


def family_of_pixels(pixels: npt.NDArray[np.uint8]) -> str:
    """Colour family of a garment's pixels, (N, 3) uint8 sRGB with N > 0."""
    names, colors = prototypes()
    distances = np.linalg.norm(perceived(colors) - perceived(median_color(pixels)), axis=1)
    return names[int(distances.argmin())]


def median_color(pixels: npt.NDArray[np.uint8]) -> Float64:
    """Median (3,) in OKLab of pixels (N, 3) uint8 sRGB."""
    found: Float64 = np.median(oklab(pixels.astype(np.float64) / 255), axis=0)
    return found


def perceived(colors: Float64) -> Float64:
    """Coordinates (..., 3) in which names of colours are compared, of OKLab colours (..., 3)."""
    lightness, tint = colors[..., :1], colors[..., 1:]
    chroma = np.linalg.norm(tint, axis=-1, keepdims=True)
    return np.concatenate([LIGHTNESS * lightness, tint / np.sqrt(chroma + TINGE)], axis=-1)


@lru_cache(maxsize=1)
def prototypes() -> tuple[list[str], Float64]:
    """Families and their prototypes, (F, 3) in OKLab, from the file beside this program."""
    with PROTOTYPES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["family"] for row in rows], np.array([[float(row[axis]) for axis in "Lab"] for row in rows])


def middle(mask: Bool) -> Bool:
    """Restrict the mask (H, W) of a garment to the middle of its box."""
    kept = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    parts = []
    for places in (rows, columns):
        spare = round((places[-1] + 1 - places[0]) * (1 - MIDDLE) / 2)
        parts.append(slice(places[0] + spare, places[-1] + 1 - spare))
    kept[parts[0], parts[1]] = mask[parts[0], parts[1]]
    return kept if kept.any() else mask


def catalogue_colors(table: Path, split: str, *, most: int) -> Iterator[tuple[str, Float64]]:
    """Colour word and median colour of garments on white; at most so many photos of each word."""
    taken: dict[str, int] = {}
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    for row in (rows[place] for place in np.random.default_rng(0).permutation(len(rows))):
        word = row["baseColour"]
        if kind_of(row["articleType"]) is None or family_of(word) is None or taken.get(word, 0) >= most:
            continue
        photo = open_image(table.parent / row["file"], at_least=SIDE)
        photo.thumbnail((SIDE, SIDE))
        mask = garment(photo)
        if mask is not None:
            taken[word] = taken.get(word, 0) + 1
            yield word, median_color(np.asarray(photo)[middle(mask)])


def learn(table: Path) -> None:
    """Write the prototypes: the median colour of each family's photos, all words weighing what they occur."""
    by_family: dict[str, list[Any]] = {family: [] for family in FAMILIES}
    for word, color in catalogue_colors(table, "train", most=600):
        by_family[FAMILY_OF[word.lower()]].append(color)
    with PROTOTYPES.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["family", "L", "a", "b"])
        for family, colors in by_family.items():
            writer.writerow([family, *(f"{value:.4f}" for value in np.median(colors, axis=0))])


def main() -> None:
    """Learn the prototypes, and print their agreement with the colour words of dev photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue", type=Path)
    given = parser.parse_args()
    learn(given.catalogue)
    names, colors = prototypes()
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    for word, color in catalogue_colors(given.catalogue, "dev", most=10**6):
        nearest = np.linalg.norm(perceived(colors) - perceived(color), axis=1).argmin()
        counts[names.index(FAMILY_OF[word.lower()]), nearest] += 1
    agreed, by_family = counts.trace() / counts.sum(), (counts.diagonal() / counts.sum(axis=1)).mean()
    print(f"{counts.sum()} dev photos on white: {agreed:.3f} agree, mean over families {by_family:.3f}\n")
    print(f"| family by its word | photos | L, a, b | {' | '.join(names)} |\n{'|---' * (len(names) + 3)}|")
    for name, color, row in zip(names, colors, counts, strict=True):
        shares = " | ".join(f"{share:.2f}" for share in row / row.sum())
        print(f"| {name} | {row.sum()} | {', '.join(f'{value:.2f}' for value in color)} | {shares} |")


if __name__ == "__main__":
    main()
