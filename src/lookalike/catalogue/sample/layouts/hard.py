"""A hard benchmark with known answers: near-duplicates of each product, in hard photos."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Final

from PIL import Image

from lookalike.catalogue.sample.drawing.crowded import crowded_photo
from lookalike.catalogue.sample.drawing.siblings import siblings
from lookalike.catalogue.sample.drawn import TABLE, Product, make_products
from lookalike.catalogue.sample.layouts.writing import QUALITY, Drawn
from lookalike.errors import UsageError

SIBLINGS: Final = 3
"""Products of a family: one, and two near-duplicates of it."""

SPLITS: Final = ("train", "dev", "test", "train", "test", "train", "dev", "train", "test", "train")
"""Splits of ten families in a row; families are in a random order."""

OTHERS: Final = 10
"""Garments of each split that lie around or in front of others, and are not in the catalogue."""


def write_hard(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `catalogue.csv` beside its photos: families of three near-duplicates, whole families in a split.

    The first photo of a product is a shop's, on white; the others are hard: any pose, other garments, hands, cards and
    leaves around and in front, bad light, a poor camera. Columns besides those of the sample are `family`, `detail`
    (what tells the product from the first of its family), `view` (`shop` or `crowded`), `covered` (the fraction of the
    garment that is hidden), and `split` (`train`, `dev`, `test`).

    Raises:
        UsageError: There are not enough products for three splits of whole families, or too few photos.
    """
    families = products // SIBLINGS
    if products % SIBLINGS or families < 3 or photos < 2:
        raise UsageError(
            f"hard needs families of {SIBLINGS} products, three at least, and 2 photos of each: expected "
            f"--products 9, 12, 15 ... and --photos 2 or more, got {products} and {photos}"
        )
    (root / "photos").mkdir(parents=True, exist_ok=True)
    first = make_products(families, seed=seed)
    order = list(range(families))
    Random(f"{seed}/splits").shuffle(order)
    splits = {place: SPLITS[number % len(SPLITS)] for number, place in enumerate(order)}
    others = {
        split: [other.paint() for other in make_products(OTHERS, seed=_seed_of(split, seed))]
        for split in dict.fromkeys(SPLITS)
    }

    def draw(place: int) -> list[dict[str, object]]:
        split = splits[place]
        return _write_family(root, first[place], number=place + 1, photos=photos, split=split, others=others[split])

    with ThreadPoolExecutor(thread_name_prefix="draw") as pool:
        rows = [row for family in pool.map(draw, range(families)) for row in family]
    with (root / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return [Drawn(str(row["image"]), str(row["product"]), (0, 0, 0, 0), row) for row in rows]


def _seed_of(split: str, seed: int) -> int:
    """Seed of the garments around, which are others than those of the catalogue and of the other splits."""
    return Random(f"{seed}/{split}/others").getrandbits(48)


def _write_family(
    root: Path, product: Product, *, number: int, photos: int, split: str, others: list[Image.Image]
) -> list[dict[str, object]]:
    """Draw the photos of a family, and return their rows."""
    known = product.attributes()
    rows: list[dict[str, object]] = []
    for letter, (detail, garment) in zip("abc", siblings(product, SIBLINGS), strict=True):
        name = f"h{number:03}{letter}"
        for place in range(photos):
            id_ = f"{name}-{place + 1}"
            if place:
                rng = Random(f"{product.seed}/{name}/crowded/{place}")
                data, covered = crowded_photo(garment, rng, others=others)
            else:
                data, covered = _shop_photo(product, name, garment), 0.0
            image = f"photos/{id_}.jpg"
            (root / image).write_bytes(data)
            rows.append(
                {
                    "id": id_,
                    "image": image,
                    "product": name,
                    **known,
                    "family": f"h{number:03}",
                    "detail": detail,
                    "view": "crowded" if place else "shop",
                    "covered": f"{covered:.2f}",
                    "split": split,
                }
            )
    return rows


def _shop_photo(product: Product, name: str, garment: Image.Image) -> bytes:
    kept = io.BytesIO()
    product.photo(name, garment=garment, background="white").save(kept, "JPEG", quality=QUALITY)
    return kept.getvalue()
