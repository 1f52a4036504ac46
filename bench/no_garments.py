"""Make the set of pictures without garments: drawn ones, and parts of street photos beside all garments.

    python bench/no_garments.py no-garments --masks ccp/labels.csv --boxes street/labels.csv

Writes JPEG files and `labels.csv` with the columns file, sort, kind, type and split; kind and type are `nothing`. Split
`dev` is drawn with other settings, has sorts that `train` lacks, and is cut from the dev photos of the tables. Photos
of a `use` other than train and dev are not touched. The same options and versions make the same pictures.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from drawn_pages import PAGES
from drawn_scenes import SCENES
from drawn_surfaces import PLAIN, STYLES
from lookalike.images import open_image

DRAWN = PLAIN | PAGES | SCENES
ONLY_DEV = ("code", "chat", "street")
COUNTS = {"train": (60, 150), "dev": (17, 50)}
"""Pictures of each drawn sort and of each sort of cut, by split."""

SIDES = (160, 320)
"""Shortest and longest of the longest sides, in pixels."""

BODY = ("skin", "hair")
BESIDES = ("null", "accessories", "earrings", "necklace", *BODY)
"""Classes of masks that a head may show."""

COVERED = ("hat", "glasses", "scarf")
"""Kinds of boxes that hide a head."""

OTHERS = (0.28, 0.68)
"""Where other people stand in the background, whom masks leave out, as fractions of the height."""

STRAY = 0.01
"""Largest part of a cut that may belong to other classes, at the edges of masks."""

Corners = tuple[int, int, int, int]
Cut = tuple[str, Path, Corners]


def rows_of(table: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV table."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cuts_by_masks(table: Path, split: str, random: np.random.Generator) -> Iterator[Cut]:
    """Yield heads and backgrounds of photos with masks; `classes.csv` lies beside the table."""
    number = {row["name"]: int(row["class_id"]) for row in rows_of(table.with_name("classes.csv"))}
    for row in rows_of(table):
        if row["split"] != split or not row["mask"]:
            continue
        with Image.open(table.parent / row["mask"]) as opened:
            mask = np.asarray(opened)
        head = head_of(mask == number["hair"], np.isin(mask, [number[name] for name in BESIDES]))
        if head:
            yield "head by mask", table.parent / row["file"], head
        taken = ndimage.binary_dilation(mask != number["null"], iterations=4)
        taken[round(OTHERS[0] * len(taken)) : round(OTHERS[1] * len(taken))] = True
        free = largest_free(taken, random)
        if free:
            yield "background by mask", table.parent / row["file"], free


def head_of(hair: np.ndarray, allowed: np.ndarray) -> Corners | None:
    """Box of a head with its hair, as far down as no garment shows; None where it is small or covered."""
    down, across = np.flatnonzero(hair.any(axis=1)), np.flatnonzero(hair.any(axis=0))
    if not len(down):
        return None
    wide = across[-1] + 1 - across[0]
    left, right = max(0, across[0] - wide // 4), min(hair.shape[1], across[-1] + 1 + wide // 4)
    top = max(0, down[0] - wide // 4)
    for bottom in range(min(hair.shape[0], top + 2 * wide), top + wide, -2):
        if (~allowed[top:bottom, left:right]).mean() <= STRAY and right - left >= 28:
            return int(left), int(top), int(right), int(bottom)
    return None


def largest_free(taken: np.ndarray, random: np.random.Generator) -> Corners | None:
    """Largest of many random boxes that hold nothing taken; None where all are small."""
    height, width = taken.shape
    best, largest = None, 0.03 * height * width
    for _ in range(300):
        wide, tall = random.uniform(0.15, 0.9) * width, random.uniform(0.1, 0.4) * height
        if wide * tall <= largest or not 0.3 < wide / tall < 3:
            continue
        left, top = random.uniform(0, width - wide), random.uniform(0, height - tall)
        box = (int(left), int(top), int(left + wide), int(top + tall))
        if not taken[box[1] : box[3], box[0] : box[2]].any():
            best, largest = box, wide * tall
    return best


def cuts_by_boxes(table: Path, split: str, random: np.random.Generator) -> Iterator[Cut]:
    """Yield heads and strips beside people of photos with boxes; `boxes.csv` lies beside the table."""
    boxes: dict[str, list[tuple[str, list[float]]]] = {}
    for row in rows_of(table.with_name("boxes.csv")):
        boxes.setdefault(row["file"], []).append((row["kind"], [float(row[side]) for side in ("x1", "y1", "x2", "y2")]))
    for row in rows_of(table):
        if row["use"] != split or row["file"] not in boxes:
            continue
        width, height, photo = int(row["width"]), int(row["height"]), table.parent / row["file"]
        kinds = [kind for kind, _ in boxes[row["file"]]]
        corners = np.array([box for _, box in boxes[row["file"]]])
        upper = [place for place, kind in enumerate(kinds) if kind in ("top", "outerwear", "dress")]
        if upper and not set(kinds) & set(COVERED):
            x1, y1, x2, _ = corners[upper[0]]
            left, right = (x1 + x2) / 2 - 0.13 * width, (x1 + x2) / 2 + 0.13 * width
            top, bottom = max(0.0, y1 - 0.17 * height), y1 - 0.01 * height
            if bottom - top > 32 and corners[:, 1].min() >= bottom - 4:
                yield "head by box", photo, (int(max(0, left)), int(top), int(min(width, right)), int(bottom))
        left, right = corners[:, 0].min() - 0.08 * width, corners[:, 2].max() + 0.08 * width
        edges = (0.0, left) if left > width - right else (right, float(width))
        if edges[1] - edges[0] >= 0.16 * width and {"shoes", "top"} <= set(kinds):
            top = random.uniform(0, max(0, height - 2 * (edges[1] - edges[0])))
            bottom = min(height, top + 2 * (edges[1] - edges[0]))
            yield "strip by box", photo, (math.floor(edges[0]), int(top), math.ceil(edges[1]), int(bottom))


def chosen(cuts: Sequence[Cut], most: int, random: np.random.Generator) -> list[Cut]:
    """Return at most so many cuts of each sort, at random."""
    order = [cuts[place] for place in random.permutation(len(cuts))]
    sorts = dict.fromkeys(sort for sort, _, _ in cuts)
    return [cut for name in sorts for cut in [each for each in order if each[0] == name][:most]]


def varied(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Blur a picture at times, or add grain, as cameras do."""
    if random.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.5)))
    if random.random() < 0.3:
        pixels = np.asarray(picture) + random.normal(0, random.uniform(1, 9), (picture.height, picture.width, 1))
        picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return picture


def size_of(random: np.random.Generator) -> tuple[int, int]:
    """Random width and height, portrait, landscape or square."""
    longest, shape = random.integers(SIDES[0], SIDES[1] + 1), random.choice([1.0, 0.75, 0.67, 0.5625])
    sides = (int(longest), int(longest * shape))
    return sides if random.random() < 0.4 else sides[::-1]


def pictures(split: str, masks: Path, boxes: Path) -> Iterator[tuple[str, Image.Image]]:
    """Yield sort and picture."""
    drawn, cut = COUNTS[split]
    for number, (sort, draw) in enumerate(DRAWN.items()):
        for place in range(0 if split == "train" and sort in ONLY_DEV else drawn):
            random = np.random.default_rng([split == "dev", number, place])
            yield sort, varied(draw(random, size_of(random), STYLES[split]), random)
    random = np.random.default_rng([split == "dev", len(DRAWN)])
    cuts = [*cuts_by_masks(masks, split, random), *cuts_by_boxes(boxes, split, random)]
    for sort, photo, corners in chosen(cuts, cut, random):
        part = open_image(photo).crop(corners)
        scale = random.uniform(SIDES[0], max(SIDES[0], min(SIDES[1], 4 * max(part.size)))) / max(part.size)
        size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
        yield sort, part.resize(size, Image.Resampling.BICUBIC)


def main() -> None:
    """Write the pictures and their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--masks", type=Path, required=True, help="Table of photos with masks.")
    parser.add_argument("--boxes", type=Path, required=True, help="Table of photos with boxes.")
    given = parser.parse_args()
    rows = []
    for split in COUNTS:
        (given.folder / split).mkdir(parents=True, exist_ok=True)
        quality = np.random.default_rng(split == "dev")
        for number, (sort, picture) in enumerate(pictures(split, given.masks, given.boxes)):
            name = f"{split}/{number:04d}.jpg"
            picture.save(given.folder / name, quality=int(quality.integers(50, 93)))
            rows.append({"file": name, "sort": sort, "kind": "nothing", "type": "nothing", "split": split})
    with (given.folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for split in COUNTS:
        print(f"{split}: {sum(row['split'] == split for row in rows):,} pictures")


if __name__ == "__main__":
    main()
