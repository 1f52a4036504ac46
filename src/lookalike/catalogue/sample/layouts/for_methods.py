"""Drawn photos in the layouts of the data sets that methods are compared on: Stanford Online Products and CUB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lookalike.catalogue.benchmarks.birds import CLASSES, LAST_TRAINING_CLASS, PHOTO_FOLDER
from lookalike.catalogue.benchmarks.online_products import COLUMNS, FILES, SUPER_CLASSES
from lookalike.catalogue.sample.layouts.garments import (
    BY_NAME,
    Garment,
    Marks,
    consumer_shot,
    make_garments,
    of_each,
    shop_shot,
)
from lookalike.catalogue.sample.layouts.writing import Drawn, write_photo, write_rows
from lookalike.errors import UsageError

KINDS = (
    "Dress",
    "Jeans",
    "Blouse",
    "Cardigan",
    "Jacket",
    "Skirt",
    "Tee",
    "Coat",
    "Leggings",
    "Romper",
    "Shorts",
    "Tank",
)
"""Categories of the drawn garments, one for each of the twelve super classes."""


def write_online_products(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `Ebay_train.txt`, `Ebay_test.txt` and a folder of photos for each super class.

    The first half of the products is the train split; see
    `lookalike.catalogue.sample.layouts.table.write_layout`.
    """
    _check(products, photos, what="Stanford Online Products")
    codes: dict[str, tuple[int, int]] = {}

    def name_of(place: int, number: int) -> str:
        code = place % SUPER_CLASSES
        name = f"{KINDS[code].lower()}_final/{110000000000 + place}_{number}.JPG"
        codes[name] = (place + 1, code + 1)
        return name

    drawn = _photographed(root, products=products, photos=photos, seed=seed, name_of=name_of)
    listed: list[Drawn] = []
    for name, place, _ in drawn:
        split = "train" if place < products // 2 else "test"
        known: dict[str, object] = {"split": split, "category": KINDS[place % SUPER_CLASSES].lower()}
        listed.append(Drawn(name, str(place + 1), (0, 0, 0, 0), known))
    numbered = [(number, *codes[photo.name], photo.name) for number, photo in enumerate(listed, start=1)]
    for split, file in FILES.items():
        rows = [row for row, photo in zip(numbered, listed, strict=True) if photo.attributes["split"] == split]
        write_rows(root / file, rows, columns=COLUMNS)
    return listed


def write_birds(root: Path, *, products: int, photos: int, seed: int) -> list[Drawn]:
    """Write `images.txt`, the other lists of CUB-200-2011, and `images/`, of garments in place of birds.

    The first half of the products has classes from 1, which train; the others have classes from 101.
    """
    _check(products, photos, what="CUB")
    if products > CLASSES:
        raise UsageError(f"CUB has {CLASSES} classes, and a product is a class here; not {products} products")
    numbers = [
        place + 1 if place < products // 2 else LAST_TRAINING_CLASS + 1 + place - products // 2
        for place in range(products)
    ]
    names = [f"{number:03d}.{KINDS[place % len(KINDS)]}_{place + 1}" for place, number in enumerate(numbers)]

    def name_of(place: int, number: int) -> str:
        return f"{PHOTO_FOLDER}/{names[place]}/{names[place].partition('.')[2]}_{number + 1:04d}.jpg"

    listed: list[Drawn] = []
    lists: dict[str, list[tuple[object, ...]]] = {
        name: [] for name in ("images", "image_class_labels", "bounding_boxes", "train_test_split")
    }
    taken = _photographed(root, products=products, photos=photos, seed=seed, name_of=name_of)
    for row, (path, place, marks) in enumerate(taken, start=1):
        name, is_training = path.removeprefix(f"{PHOTO_FOLDER}/"), row % 2
        x1, y1, x2, y2 = (float(corner) for corner in marks.box)
        lists["images"].append((row, name))
        lists["image_class_labels"].append((row, numbers[place]))
        lists["bounding_boxes"].append((row, x1, y1, x2 - x1, y2 - y1))
        lists["train_test_split"].append((row, is_training))
        known: dict[str, object] = {
            "split": "train" if place < products // 2 else "test",
            "class": names[place],
            "classification_split": "train" if is_training else "test",
        }
        listed.append(Drawn(name, str(numbers[place]), marks.box, known))
    for name, rows in lists.items():
        write_rows(root / f"{name}.txt", rows)
    write_rows(root / "classes.txt", zip(numbers, names, strict=True))
    return listed


def _check(products: int, photos: int, *, what: str) -> None:
    """Check that both splits have products, and each product a photo that answers another.

    Raises:
        UsageError: They do not.
    """
    if products < 2 or photos < 2:
        raise UsageError(f"{what} needs at least 2 products with 2 photos each, not {products} with {photos}")


def _photographed(
    root: Path, *, products: int, photos: int, seed: int, name_of: Callable[[int, int], str]
) -> Sequence[tuple[str, int, Marks]]:
    """Write photos, of which every other one is a consumer's; returns name, place of the product and marks of each."""

    def draw(place: int, garment: Garment) -> list[tuple[str, int, Marks]]:
        picture = garment.paint()
        taken: list[tuple[str, int, Marks]] = []
        for number in range(photos):
            name = name_of(place, number)
            take = shop_shot if number % 2 == 0 else consumer_shot
            taken.append((name, place, write_photo(root, name, take(garment, number, picture=picture))))
        return taken

    return of_each(make_garments([BY_NAME[kind] for kind in KINDS], count=products, seed=seed), draw)
