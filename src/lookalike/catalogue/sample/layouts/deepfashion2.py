"""Drawn photos in the layout of DeepFashion2: a file of annotations for each photo."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lookalike.catalogue.benchmarks.deepfashion2 import CATEGORIES, GRADES
from lookalike.catalogue.sample.layouts.garments import (
    BY_NAME,
    Garment,
    Marks,
    Shot,
    consumer_shot,
    make_garments,
    of_each,
    resized,
    shop_shot,
)
from lookalike.catalogue.sample.layouts.writing import Drawn, write_photo
from lookalike.errors import UsageError

LONGEST = 300
KINDS = {
    "Tee": "short sleeve top",
    "Blouse": "long sleeve top",
    "Coat": "long sleeve outwear",
    "Tank": "vest",
    "Shorts": "shorts",
    "Jeans": "trousers",
    "Skirt": "skirt",
    "Dress": "sling dress",
}
"""Categories of DeepFashion2 by what is drawn for them."""


@dataclass(frozen=True, slots=True)
class _Photo:
    """A photo: the garments in it, with their styles."""

    source: str
    pair: int
    shot: Shot
    garments: Sequence[tuple[Garment, int, Marks]]


def write_deepfashion2(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `train` and `validation`, each with `annos` and `image`.

    A product is a pair. The photos are consumers' and shops' in turn; the last shop photo of four or more photos has
    the garment in its other colour, style 2, and every other consumer's photo has a second garment beside it, style 0.
    The first half of the products is the train split.
    """
    if products < 2 or photos < 2:
        raise UsageError(f"DeepFashion2 needs at least 2 products with 2 photos each, not {products} with {photos}")
    garments = make_garments([BY_NAME[name] for name in KINDS], count=products, seed=seed)

    def draw(place: int, garment: Garment) -> list[_Photo]:
        drawn: list[_Photo] = []
        other = garments[(place + 1) % products]
        for number in range(photos):
            is_shop, own = number % 2 == 1, number // 2
            style = 2 if is_shop and photos >= 4 and own == photos // 2 - 1 else 1
            worn = garment.in_other_color if style == 2 else garment
            take = shop_shot if is_shop else consumer_shot
            shot = resized(take(worn, own, picture=worn.paint()), longest=LONGEST)
            shown = [(worn, style, shot[1])]
            if not is_shop and own % 2 == 1:
                shot, marks = _beside(shot, resized(consumer_shot(other, 9, picture=other.paint()), longest=LONGEST))
                shown.append((other, 0, marks))
            drawn.append(_Photo("shop" if is_shop else "user", place + 1, shot, shown))
        return drawn

    listed: list[Drawn] = []
    numbers = {"train": 0, "validation": 0}
    for photo in of_each(garments, draw):
        split = "train" if photo.pair <= products // 2 else "validation"
        numbers[split] += 1
        listed += _write(root / split, f"{numbers[split]:06d}", photo)
    return listed


def _beside(one: Shot, other: Shot) -> tuple[Shot, Marks]:
    """Put a second photo to the right of one; returns the whole, and the marks of the second in it."""
    (left, marks), (right, others) = one, other
    whole = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), (255, 255, 255))
    whole.paste(left, (0, 0))
    whole.paste(right, (left.width, 0))
    x1, y1, x2, y2 = others.box
    return (whole, marks), Marks((x1 + left.width, y1, x2 + left.width, y2), [])


def _write(folder: Path, number: str, photo: _Photo) -> list[Drawn]:
    """Write a photo and its annotations."""
    write_photo(folder / "image", f"{number}.jpg", photo.shot)
    annotations: dict[str, object] = {"source": photo.source, "pair_id": photo.pair}
    listed: list[Drawn] = []
    for place, (garment, style, marks) in enumerate(photo.garments, start=1):
        category = KINDS[garment.category.name]
        annotations[f"item{place}"] = {
            "category_name": category,
            "category_id": CATEGORIES.index(category) + 1,
            "style": style,
            "bounding_box": [*marks.box],
            "landmarks": [],
            "segmentation": [],
            **dict.fromkeys(GRADES, 2),
        }
        known: dict[str, object] = {
            "split": folder.name,
            "source": "shop" if photo.source == "shop" else "consumer",
            "pairing": "paired" if style else "single",
            "category": category,
            "pair": photo.pair,
            "style": style,
            **{name: values[1] for name, values in GRADES.items()},
        }
        product = f"{folder.name}-{photo.pair}-{style}" if style else ""
        listed.append(Drawn(f"{folder.name}/{number}/item{place}", product, marks.box, known))
    path = folder / "annos" / f"{number}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(annotations), encoding="utf-8")
    return listed
