"""Drawn photos in the layout of Fashion200k: labels of each category, and test queries."""

from __future__ import annotations

from pathlib import Path

from lookalike.catalogue.sample.layouts.garments import BY_NAME, Garment, make_garments, of_each, shop_shot
from lookalike.catalogue.sample.layouts.writing import Drawn, write_photo
from lookalike.errors import UsageError

KINDS = {"Dress": "dress", "Jacket": "jacket", "Jeans": "pants", "Skirt": "skirt", "Tee": "top"}
"""Categories of Fashion200k by what is drawn for them."""


def write_fashion200k(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `labels`, `women` and `test_queries.txt`.

    The photos of a product are taken of the garment and of the same in its other colour, in turn, which are described
    as such; the first two of a test product make a query. The first half of the products is the train split.
    """
    if products < 2 or photos < 2:
        raise UsageError(f"Fashion200k needs at least 2 products with 2 photos each, not {products} with {photos}")

    def draw(place: int, garment: Garment) -> list[tuple[int, str, str]]:
        both = [(worn, worn.paint()) for worn in (garment, garment.in_other_color)]
        taken: list[tuple[int, str, str]] = []
        for number in range(photos):
            worn, picture = both[number % 2]
            kind = KINDS[garment.category.name]
            folder = f"{51000000 + 2 * place + number % 2}"
            name = f"women/{kind}/drawn_{kind}/{folder}/{folder}_{number // 2}.jpeg"
            write_photo(root, name, shop_shot(worn, number // 2, picture=picture))
            taken.append((place, name, f"{worn.color} {worn.pattern} {kind}"))
        return taken

    labels = {f"{kind}_{split}": "" for kind in KINDS.values() for split in ("train", "test")}
    queries = ""
    listed: list[Drawn] = []
    garments = make_garments([BY_NAME[name] for name in KINDS], count=products, seed=seed)
    taken = of_each(garments, draw)
    for number, (place, name, description) in enumerate(taken):
        kind, split = KINDS[garments[place].category.name], "train" if place < products // 2 else "test"
        labels[f"{kind}_{split}"] += f"{name}\t0.9\t{description}\n"
        if split == "test" and number % photos == 0:
            queries += f"{name} {taken[number + 1][1]}\n"
        known: dict[str, object] = {"category": kind, "split": split, "description": description}
        listed.append(Drawn(name, name.split("/")[-2], (0, 0, 0, 0), known))
    (root / "labels").mkdir()
    for name, text in labels.items():
        (root / "labels" / f"{name}_detect_all.txt").write_text(text, encoding="utf-8")
    (root / "test_queries.txt").write_text(queries, encoding="utf-8")
    return listed
