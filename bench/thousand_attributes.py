"""Benchmark reading DeepFashion's largest annotations: time and memory, on synthetic files of the published size.

    python bench/thousand_attributes.py FOLDER

writes the files to FOLDER (0.97 GB) if it is empty, and otherwise reads them and prints seconds and the peak of
resident memory.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from random import Random

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.sample.drawing.categories import CATEGORIES, LOWER, UPPER
from lookalike.catalogue.sample.layouts.writing import vocabulary, write_annotation

PHOTOS = 289_222
LANDMARKS = {1: 6, 2: 4, 3: 8}
ROWS = 2_000
"""Number of different rows of labels, repeated in turn; reading depends on the length of their text only."""


def make(root: Path) -> None:
    """Write all files but the photos."""
    random = Random(0)
    names = [f"img/Sheer_Pleated-Front_Blouse_{at // 52:04d}/img_{at % 52 + 1:08d}.jpg" for at in range(PHOTOS)]
    kinds = [1] * len(UPPER) + [2] * len(LOWER) + [3] * (len(CATEGORIES) - len(UPPER) - len(LOWER))
    anno = root / "Anno"
    splits = [(name, random.choices(["train", "val", "test"], [5, 1, 1])[0]) for name in names]
    write_annotation(root / "Eval/list_eval_partition.txt", splits, columns="image_name  evaluation_status")
    categories = [(category.name, kind) for category, kind in zip(CATEGORIES, kinds, strict=True)]
    write_annotation(anno / "list_category_cloth.txt", categories, columns="category_name  category_type")
    labels = [(name, random.randint(1, len(CATEGORIES))) for name in names]
    write_annotation(anno / "list_category_img.txt", labels, columns="image_name  category_label")
    boxes = [(name, "072 079 232 273") for name in names]
    write_annotation(anno / "list_bbox.txt", boxes, columns="image_name  x_1  y_1  x_2  y_2")
    points = {kind: f"{kind} " + " 0 146 102" * count for kind, count in LANDMARKS.items()}
    landmarks = [(name, points[random.randint(1, 3)]) for name in names]
    write_annotation(anno / "list_landmarks.txt", landmarks, columns="image_name  clothes_type  landmark_visibility_1")
    attributes = vocabulary(1000)
    write_annotation(anno / "list_attr_cloth.txt", attributes, columns="attribute_name  attribute_type")
    rows = []
    for _ in range(ROWS):
        positive = set(random.sample(range(len(attributes)), random.randint(0, 7)))
        rows.append(" ".join("1" if at in positive else "-1" for at in range(len(attributes))))
    all_rows = [(name, random.choice(rows)) for name in names]
    write_annotation(anno / "list_attr_img.txt", all_rows, columns="image_name  attribute_labels")
    (root / "Img" / "img").mkdir(parents=True)


def main(root: Path) -> None:
    """Write the files if they do not exist; else read them in this process."""
    if not (root / "Img").is_dir():
        make(root)
        print(f"made {root}; run it again to measure")
        return
    started, worked = time.perf_counter(), time.process_time()
    catalogue = open_catalogue(str(root))
    opened, open_work = time.perf_counter() - started, time.process_time() - worked
    positive = sum(len(item.attributes["attributes"]) for item in catalogue.items())  # type: ignore[arg-type]
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{catalogue.count:,} photos, {positive:,} positive labels")
    print(f"opened in {opened:.1f} s ({open_work:.1f} s of processor time); {megabytes:.0f} MB at most")


main(Path(sys.argv[1]))
