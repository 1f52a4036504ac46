"""Drawn photos in the layout of Street2Shop: lists of each category in `meta/json`, photos in `images`."""

from __future__ import annotations

import json
from pathlib import Path

from lookalike.catalogue.sample.layouts.garments import (
    BY_NAME,
    Garment,
    Marks,
    consumer_shot,
    make_garments,
    of_each,
    shop_shot,
)
from lookalike.catalogue.sample.layouts.writing import Drawn, write_photo
from lookalike.errors import UsageError

KINDS = {"Dress": "dresses", "Jeans": "pants", "Blouse": "tops", "Coat": "outerwear", "Skirt": "skirts"}
"""Categories of Street2Shop by what is drawn for them; the other categories are left out."""

SECOND = 5000
"""What is added to the number of a product for that of a second shop that sells it."""


def write_street2shop(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `meta/json`, `photos/photos.txt` and `images`.

    The photos of a product are street and shop photos in turn; the last shop photo of four or more is that of a second
    shop, a product of its own that the street photos are paired with too. The first half of the products has
    training pairs.
    """
    if products < 2 or photos < 2:
        raise UsageError(f"Street2Shop needs at least 2 products with 2 photos each, not {products} with {photos}")

    def draw(place: int, garment: Garment) -> list[tuple[int, int, Marks]]:
        picture = garment.paint()
        taken: list[tuple[int, int, Marks]] = []
        for number in range(photos):
            photo = place * photos + number + 1
            take = shop_shot if number % 2 else consumer_shot
            shot = take(garment, number // 2, picture=picture)
            taken.append((place, number, write_photo(root / "images", f"{photo:09d}.jpeg", shot)))
        return taken

    lists: dict[str, list[dict[str, object]]] = {}
    listed: list[Drawn] = []
    garments = make_garments([BY_NAME[name] for name in KINDS], count=products, seed=seed)
    for place, number, marks in of_each(garments, draw):
        category = KINDS[garments[place].category.name]
        split = "train" if place < products // 2 else "test"
        for empty in (f"train_pairs_{category}", f"test_pairs_{category}"):
            lists.setdefault(empty, [])
        photo, own = place * photos + number + 1, str(place + 1)
        known: dict[str, object] = {"category": category, "source": "consumer", "split": split}
        has_second = photos >= 4
        if number % 2:
            is_second = has_second and number // 2 == photos // 2 - 1
            product = str(place + 1 + SECOND) if is_second else own
            lists.setdefault(f"retrieval_{category}", []).append({"photo": photo, "product": int(product)})
            listed.append(Drawn(f"{category}/shop/{photo}", product, (0, 0, 0, 0), {**known, "source": "shop"}))
            continue
        x1, y1, x2, y2 = marks.box
        box = {"left": x1, "top": y1, "width": x2 - x1, "height": y2 - y1}
        for sold in [place + 1, *([place + 1 + SECOND] if has_second else [])]:
            pair = {"photo": photo, "product": sold, "bbox": box}
            lists.setdefault(f"{split}_pairs_{category}", []).append(pair)
        listed.append(Drawn(f"{category}/street/{photo}/1", own, marks.box, known))
    for name, rows in lists.items():
        path = root / "meta" / "json" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows), encoding="utf-8")
    (root / "photos").mkdir()
    addresses = [f"{number:09d},http://photos.example/{number}.jpg\n" for number in range(1, products * photos + 1)]
    (root / "photos" / "photos.txt").write_text("".join(addresses), encoding="utf-8")
    return listed
