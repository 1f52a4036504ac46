"""Write the table that `lookalike evaluate --protocol garments` reads, from boxes or masks of photos of people.

    python bench/garment_table.py street/labels.csv --boxes street/boxes.csv --split use --value dev dev.csv
    python bench/garment_table.py ccp/labels.csv --masks mask --classes ccp/classes.csv --value dev dev.csv
    lookalike evaluate dev.csv --protocol garments --model finder.onnx

With --boxes, each box becomes a row; with --masks, all that a mask has of one kind does.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from lookalike.images import open_image
from lookalike.kinds import KINDS
from lookalike.training.finder.labelled_photos import read_labelled
from lookalike.training.finder.settings import GarmentDataSettings


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--boxes", type=Path)
    parser.add_argument("--masks", default="")
    parser.add_argument("--classes", type=Path)
    parser.add_argument("--split", default="split")
    parser.add_argument("--value", default="dev")
    given = parser.parse_args()
    data = GarmentDataSettings(
        photos=str(given.photos.absolute()),
        boxes=str(given.boxes.absolute()) if given.boxes else "",
        masks=given.masks,
        classes=str(given.classes.absolute()) if given.classes else "",
        split=given.split,
        train=(given.value,),
        dev=(),
    )
    with given.out.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "image", "kind", "box"])
        for photo in read_labelled(data, folder=Path())["train"]:
            width, height = open_image(photo.photo).size
            for number, (corners, kind) in enumerate(zip(photo.boxes.tolist(), photo.kinds.tolist(), strict=True)):
                x1, y1, x2, y2 = (c * side for c, side in zip(corners, (width, height) * 2, strict=True))
                word = KINDS[kind] if kind >= 0 else "ambiguous"
                name = f"{Path(photo.photo).stem} {number}"
                table.writerow([name, photo.photo, word, f"{x1:.2f},{y1:.2f},{x2:.2f},{y2:.2f}"])


if __name__ == "__main__":
    main()
