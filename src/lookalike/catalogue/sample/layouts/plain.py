"""Drawn photos in general layouts: a tree of splits and classes, and a table."""

from __future__ import annotations

import csv
from pathlib import Path

from lookalike.catalogue.sample.drawing.categories import CATEGORIES
from lookalike.catalogue.sample.drawn import TABLE, write_drawn
from lookalike.catalogue.sample.layouts.garments import Garment, consumer_shot, make_garments, of_each, shop_shot
from lookalike.catalogue.sample.layouts.writing import Drawn, write_photo

DEV_EVERY = 5
"""One product in this many belongs to the val or dev split."""


def write_imagefolder(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `train/Dress/00001-1.jpg` and `val/...`; all photos of a product are in the same split."""
    categories = [category for category in CATEGORIES if category.has_photos]

    def draw(place: int, garment: Garment) -> list[Drawn]:
        split, picture = "val" if place % DEV_EVERY == DEV_EVERY - 1 else "train", garment.paint()
        folder = f"{split}/{garment.category.name}"
        drawn: list[Drawn] = []
        for number in range(photos):
            name = f"{folder}/{place + 1:05d}-{number + 1}.jpg"
            take = shop_shot if number % 2 == 0 else consumer_shot
            write_photo(root, name, take(garment, number, picture=picture))
            attributes: dict[str, object] = {"split": split, "class": garment.category.name, "folder": folder}
            drawn.append(Drawn(name, "", (0, 0, 0, 0), attributes))
        return drawn

    drawn = of_each(make_garments(categories, count=products, seed=seed), draw)
    return sorted(drawn, key=lambda photo: photo.name)


def write_table(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `catalogue.csv` beside its photos, with products, attributes and a column `split` of `train` and `dev`."""
    table = write_drawn(root, products=products, photos=photos, seed=seed)
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    places = {product: place for place, product in enumerate(dict.fromkeys(row["product"] for row in rows))}
    for row in rows:
        row["split"] = "dev" if places[row["product"]] % DEV_EVERY == DEV_EVERY - 1 else "train"
    with (root / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return [Drawn(row["image"], row["product"], (0, 0, 0, 0), dict(row)) for row in rows]
