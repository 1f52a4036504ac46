"""Write tables of worn garments, a row for each garment of a photo of people, for the training of the default model.

    python bench/worn_crops.py ccp/labels.csv --masks ccp/classes.csv
    python bench/worn_crops.py street/labels.csv --boxes street/boxes.csv --split use
    python bench/worn_crops.py ccp/labels.csv --tags tags

Writes `worn.csv` beside the table: id, file, box, split, kind, type, articleType and the colour family: of the pixels
of the garment where there is a mask, else, for kinds that fill their box, of those in its middle. Only photos of the
splits `train` and `dev` are written.

With --tags, `found.csv` has the garments that the default finder finds in training photos without a mask, where a tag
of the photo confirms the kind. If just one does, its type and article type are the garment's.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from add_kinds import columns
from colour_families import family_of_pixels
from lookalike.finding.finder import Finder
from lookalike.images import open_image

SMALLEST, SPECK = 8, 0.03
"""Smallest side of a box in pixels; connected parts of a mask below this fraction of a garment are labelling errors."""

PARTS = ("train", "dev")
"""Splits that are written."""

OPEN = {"trousers": "pants"}
"""Words of the table of boxes for a kind of which they name no type."""

MIDDLE = 0.5
"""Part of a box, by width and height, whose pixels tell the colour of a garment without a mask."""

FILLING = frozenset(("top", "dress", "skirt", "trousers", "shorts", "scarf", "belt", "tie", "glasses"))
"""Kinds of which the middle of the box shows the garment. Its colour family is that of the mask for .75 (tops) to .85
(glasses) of them, and for .54 to .67 of hats, shoes, bags and outerwear (1,050 garments with masks)."""

SURE = 0.5
"""Lowest score of a garment that was found."""

Row = Mapping[str, str]


def rows_of(table: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV table."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def of_masks(table: Path, classes: Path, split: str, parts: Collection[str] = PARTS) -> Iterator[dict[str, str]]:
    """Yield a row for each class in a mask, of photos whose split is one of the parts."""
    words = {int(row["class_id"]): row["name"] for row in rows_of(classes)}
    for photo in rows_of(table):
        if not photo["mask"] or photo[split] not in parts:
            continue
        with Image.open(table.parent / photo["mask"]) as opened:
            mask = np.asarray(opened)
        pixels = np.asarray(open_image(table.parent / photo["file"]))
        for value in np.unique(mask).tolist():
            said = columns(words[value])
            if not said["kind"]:
                continue
            pieces, count = ndimage.label(mask == value)
            sizes = ndimage.sum_labels(mask == value, pieces, np.arange(1, count + 1))
            garment = np.isin(pieces, 1 + np.flatnonzero(sizes >= SPECK * sizes.sum()))
            down, across = np.flatnonzero(garment.any(axis=1)), np.flatnonzero(garment.any(axis=0))
            box = (across[0], down[0], across[-1] + 1, down[-1] + 1)
            yield {**row_of(photo, split, box), **said, "colour": family_of_pixels(pixels[garment]) or ""}


def of_boxes(table: Path, boxes: Path, split: str, parts: Collection[str] = PARTS) -> Iterator[dict[str, str]]:
    """Yield a row for each box, of photos whose split is one of the parts."""
    photos = {row["file"]: row for row in rows_of(table)}
    for box in rows_of(boxes):
        photo, said = photos[box["file"]], columns(OPEN.get(box["kind"], box["kind"]))
        if photo[split] in parts and said["kind"]:
            corners = (box["x1"], box["y1"], box["x2"], box["y2"])
            color = color_of_middle(table.parent / box["file"], corners) if said["kind"] in FILLING else ""
            yield {**row_of(photo, split, corners), **said, "colour": color}


def of_tags(table: Path, tags: str, split: str) -> Iterator[dict[str, str]]:
    """Yield a row for each garment found in a training photo without a mask whose kind one of its tags confirms."""
    finder = Finder()
    for photo in rows_of(table):
        if photo["mask"] or photo[split] != "train":
            continue
        tagged = [columns(word) for word in photo[tags].split("|")]
        for garment in finder.find(table.parent / photo["file"], least=SURE):
            said = [each for each in tagged if each["kind"] == garment.kind]
            if said:
                known = said[0] if len(said) == 1 else columns(OPEN.get(garment.kind, garment.kind))
                corners = tuple(f"{corner:.1f}" for corner in garment.box.to_list())
                color = color_of_middle(table.parent / photo["file"], corners) if garment.kind in FILLING else ""
                yield {**row_of(photo, split, corners), **known, "colour": color}


def color_of_middle(photo: Path, corners: tuple[str, ...]) -> str:
    """Return the colour family of the pixels in the middle of a box."""
    x1, y1, x2, y2 = map(float, corners)
    edge = (1 - MIDDLE) / 2
    left, top = int(x1 + edge * (x2 - x1)), int(y1 + edge * (y2 - y1))
    right, bottom = int(x2 - edge * (x2 - x1)) + 1, int(y2 - edge * (y2 - y1)) + 1
    return family_of_pixels(np.asarray(open_image(photo))[top:bottom, left:right].reshape(-1, 3))


def row_of(photo: Row, split: str, corners: tuple[object, ...]) -> dict[str, str]:
    """Return the columns that say where a garment is."""
    box = ",".join(str(corner) for corner in corners)
    return {"id": f"{Path(photo['file']).stem} {box}", "file": photo["file"], "box": box, "split": photo[split]}


def is_visible(row: Row) -> bool:
    """Return whether a box has at least `SMALLEST` pixels a side."""
    x1, y1, x2, y2 = map(float, row["box"].split(","))
    return min(x2 - x1, y2 - y1) >= SMALLEST


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--masks", type=Path, metavar="CLASSES", help="Table of the classes of the masks.")
    source.add_argument("--boxes", type=Path, help="Table of the boxes.")
    source.add_argument("--tags", metavar="COLUMN", help="Column of the tags of photos without masks.")
    parser.add_argument("--split", default="split", help="Column of the table with the split.")
    given = parser.parse_args()
    if given.masks:
        found = of_masks(given.table, given.masks, given.split)
    elif given.boxes:
        found = of_boxes(given.table, given.boxes, given.split)
    else:
        found = of_tags(given.table, given.tags, given.split)
    rows = [row for row in found if is_visible(row)]
    written = given.table.with_name("found.csv" if given.tags else "worn.csv")
    with written.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    print(f"{written}: {len(rows):,} garments")


if __name__ == "__main__":
    main()
