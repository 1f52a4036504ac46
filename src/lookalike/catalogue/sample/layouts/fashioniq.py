"""Drawn photos in the layout of Fashion IQ: lists of photos, and captions of how one differs from another."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from lookalike.catalogue.sample.layouts.garments import BY_NAME, Garment, Marks, make_garments, of_each, shop_shot
from lookalike.catalogue.sample.layouts.writing import Drawn, write_photo
from lookalike.errors import UsageError

KINDS = {"Dress": "dress", "Blouse": "shirt", "Tee": "toptee"}
"""Categories of Fashion IQ by what is drawn for them."""


def write_fashioniq(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `captions`, `image_splits` and `images`.

    The photos of a product are taken of the garment and of the same in its other colour, in turn; each of the former
    is a candidate, and the one after it its target. The first half of the products is the train split, the others the
    val split.
    """
    if products < 2 or photos < 2:
        raise UsageError(f"Fashion IQ needs at least 2 products with 2 photos each, not {products} with {photos}")

    def draw(place: int, garment: Garment) -> list[tuple[int, str, Marks]]:
        pictures = [garment.paint(), garment.in_other_color.paint()]
        taken: list[tuple[int, str, Marks]] = []
        for number in range(photos):
            name = f"B{place * photos + number:09d}"
            worn = (garment, garment.in_other_color)[number % 2]
            shot = shop_shot(worn, number // 2, picture=pictures[number % 2])
            taken.append((place, name, write_photo(root / "images", f"{name}.jpg", shot)))
        return taken

    garments = make_garments([BY_NAME[name] for name in KINDS], count=products, seed=seed)
    names = [f"{category}.{split}" for category in KINDS.values() for split in ("train", "val", "test")]
    splits: dict[str, list[str]] = {name: [] for name in names}
    captions: dict[str, list[dict[str, object]]] = {name: [] for name in splits if not name.endswith("test")}
    listed: list[Drawn] = []
    for number, (place, name, _) in enumerate(of_each(garments, draw)):
        category = KINDS[garments[place].category.name]
        split = "train" if place < products // 2 else "val"
        splits[f"{category}.{split}"].append(name)
        known: dict[str, object] = {"category": category, "split": split}
        listed.append(Drawn(f"{category}/{name}", "", (0, 0, 0, 0), known))
        if number % photos % 2 == 0 and number % photos + 1 < photos:
            color = garments[place].second
            said = [f"is {color}", f"is {color} and not so plain", f"has {color} in it"]
            words = Random(f"{seed}/{name}").sample(said, 2)
            captions[f"{category}.{split}"].append(
                {"target": f"B{number + 1:09d}", "candidate": name, "captions": words}
            )
    for folder, start, lists in (("image_splits", "split", splits), ("captions", "cap", captions)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, rows in lists.items():
            (root / folder / f"{start}.{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    return listed
