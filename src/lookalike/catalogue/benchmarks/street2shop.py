"""Exact Street2Shop: garments in street photos, and the same ones in the photos of shops, in eleven categories.

Each category is a retrieval of its own: a street photo with the box of a garment asks among all shop photos of that
category. Any of the products that the street photo is paired with is a right answer. The paper prints the accuracy
among the first 20 answers for each category, which is the hit rate.

Source: the data set's files `meta/json/*.json` and `photos/photos.txt`; Hadi Kiapour et al. 2015, Where to Buy It:
Matching Street Clothing Photos in Online Shops, sections 3 and 5 (totals; boxes are given for street photos alone).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lookalike.catalogue.benchmark import Benchmark, Sides
from lookalike.catalogue.benchmarks.json_files import count_of, entries, numbers_of, wrong_entry
from lookalike.catalogue.deepfashion.annotation_file import DataSetFiles, Problems
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError, UsageError
from lookalike.types import JSON, Box, Item

CATEGORIES: Final = (
    *("bags", "belts", "dresses", "eyewear", "footwear", "hats", "leggings", "outerwear", "pants", "skirts", "tops"),
)
FOLDERS: Final = ("meta/json", "json", "meta", ".")
PHOTO_FOLDERS: Final = ("images", "photos")
PUBLISHED: Final = {"consumer photos": 20357, "shop photos": 404683}
SIDES: Final = {
    "test": Sides(
        {"split": ("test",), "source": ("consumer",)},
        {"source": ("shop",)},
        within="category",
        depths=(1, 5, 10, 20, 50),
    ),
}
_PRODUCT: Final = "photo and product, whole numbers"
_PAIR: Final = "photo, product and bbox with left, top, width and height"


@dataclass(slots=True)
class _Street:
    """Garment of a street photo: its split, its box, and the products that it is paired with."""

    split: str
    box: Box | None
    products: list[str] = field(default_factory=list)


def open_street2shop(root: Path) -> Catalogue:
    """Open Street2Shop, after checking the lists of every category that is there.

    Ids are such as `dresses/street/2847/1` and `dresses/shop/163478`: a photo in several categories is an item of each,
    and a street photo with several boxes one for each box. Products are the data set's numbers; a street photo has the
    first of those that it is paired with, and the others answer it too. Attributes: `category`, `source` (`consumer` or
    `shop`) and `split` (`train` or `test`; a shop photo has that of its product's pairs, and `unpaired` without any).

    Args:
        root: An absolute path.

    Raises:
        CatalogueError: A list of a category is missing, or cannot be read or understood.
        AnnotationErrors: Several cannot.
    """
    problems = Problems(str(root))
    files = DataSetFiles(root, FOLDERS)
    present = [name for name in CATEGORIES if files.find(f"retrieval_{name}.json")]
    if not present:
        problems.add(CatalogueError(f"{root}: retrieval_dresses.json and its like are missing; {files.looked_in}"))
    if missing := [name for name in CATEGORIES if name not in present]:
        problems.notes.append(f"no {', '.join(missing)}: retrieval_{missing[0]}.json is missing; {files.looked_in}")
    places = _places_of_photos(root, problems)
    items: dict[str, Item] = {}
    answers: dict[str, tuple[str, ...]] = {}
    for category in present:
        _read_category(category, files, problems, places, items=items, answers=answers, root=root)
    if present and not items and not problems.found:
        problems.add(CatalogueError(f"{root}: there are no photos in its lists"))
    problems.raise_any()
    rows = tuple(items.values())
    return Catalogue(
        kind="street2shop",
        source=str(root),
        items=lambda: iter(rows),
        count=len(rows),
        notes=tuple(problems.notes),
        benchmark=Benchmark(name="street2shop", sides=SIDES, published=PUBLISHED, answers=answers),
    )


def _places_of_photos(root: Path, problems: Problems) -> dict[int, str]:
    """Find the photos by their numbers: files named like `000002847.jpeg`, with any suffix, in any sub-folder."""
    folder = next((name for name in PHOTO_FOLDERS if _has_photos(root / name)), None)
    if folder is None:
        named = " or ".join(PHOTO_FOLDERS)
        problems.add(
            CatalogueError(
                f"{root}: the photos are missing; fetch those of photos/photos.txt into a folder {named}, each "
                "named by its number, such as 000002847.jpg"
            )
        )
        return {}
    places: dict[int, str] = {}
    for here, folders, names in os.walk(root / folder):
        folders.sort()
        for name in sorted(names):
            stem = name.partition(".")[0]
            if stem.isascii() and stem.isdigit() and len(stem) <= 12:
                places.setdefault(int(stem), os.path.relpath(os.path.join(here, name), root))  # noqa: PTH118 - of many
    return places


def _has_photos(folder: Path) -> bool:
    """Whether a folder has a file, beside the list of addresses, or a folder."""
    try:
        with os.scandir(folder) as listing:
            return any(entry.name != "photos.txt" and not entry.name.startswith(".") for entry in listing)
    except OSError:
        return False


def _read_category(
    category: str,
    files: DataSetFiles,
    problems: Problems,
    places: Mapping[int, str],
    *,
    items: dict[str, Item],
    answers: dict[str, tuple[str, ...]],
    root: Path,
) -> None:
    """Read the lists of one category; fills `items` and `answers`."""
    streets, split_of = _read_pairs(category, files, problems)

    def add(item_id: str, photo: int, product: str, box: Box | None, source: str, split: str) -> None:
        known: dict[str, JSON] = {"category": category, "source": source, "split": split}
        place = places.get(photo, f"{PHOTO_FOLDERS[0]}/{photo:09d}.jpg")
        items[item_id] = Item(item_id, place, str(root), product, box, known)

    path = files.need(f"retrieval_{category}.json", problems=problems)
    if path is None:
        return
    repeated = 0
    for number, entry in entries(path, problems, expected=_PRODUCT):
        photo, product = count_of(entry.get("photo")), count_of(entry.get("product"))
        if photo is None or product is None:
            wrong_entry(path, number, entry, problems, expected=_PRODUCT)
        elif f"{category}/shop/{photo}" in items:
            repeated += 1
        else:
            split = split_of.get(str(product), "unpaired")
            add(f"{category}/shop/{photo}", photo, str(product), None, "shop", split)
    if repeated:
        problems.notes.append(f"{repeated:,} photos are twice in {path.name}; the first entry counts")
    for (photo, number), street in streets.items():
        item_id = f"{category}/street/{photo}/{number}"
        add(item_id, photo, street.products[0], street.box, "consumer", street.split)
        if street.products[1:]:
            answers[item_id] = tuple(street.products)


def _read_pairs(
    category: str, files: DataSetFiles, problems: Problems
) -> tuple[dict[tuple[int, int], _Street], dict[str, str]]:
    """Read the pairs of a category.

    Returns:
        Garments by the number of the photo and that of the box in it; and the split of each paired product, `test` for
        one that both splits have.
    """
    streets: dict[tuple[int, int], _Street] = {}
    numbers: dict[tuple[int, str, Box | None], int] = {}
    count: dict[int, int] = {}
    split_of: dict[str, str] = {}
    both = whole = 0
    for split in ("train", "test"):
        path = files.need(f"{split}_pairs_{category}.json", problems=problems)
        if path is None:
            continue
        for number, entry in entries(path, problems, expected=_PAIR):
            photo, numbered = count_of(entry.get("photo")), count_of(entry.get("product"))
            corners = _corners(entry.get("bbox"))
            if corners is None or photo is None or numbered is None:
                wrong_entry(path, number, entry, problems, expected=_PAIR)
                continue
            product, place = str(numbered), _box(corners)
            whole += place is None
            key = (photo, split, place)
            if key not in numbers:
                count[photo] = count.get(photo, 0) + 1
                numbers[key] = count[photo]
                streets[photo, count[photo]] = _Street(split, place)
            street = streets[photo, numbers[key]]
            if product not in street.products:
                street.products.append(product)
            both += split_of.get(product, split) != split
            split_of[product] = split
    if both:
        problems.notes.append(f"{both:,} test pairs of {category} are of products that have training pairs too")
    if whole:
        problems.notes.append(f"{whole:,} boxes of {category} enclose nothing; those photos are used whole")
    return streets, split_of


def _corners(value: JSON) -> tuple[float, float, float, float] | None:
    """Corners of a box of its annotation; None if it is malformed."""
    if not isinstance(value, dict):
        return None
    sides = numbers_of([value.get(name) for name in ("left", "top", "width", "height")], 4)
    if sides is None:
        return None
    left, top, width, height = sides
    return max(0, left), max(0, top), left + width, top + height


def _box(corners: tuple[float, float, float, float]) -> Box | None:
    """Box of its corners; None for one that encloses nothing."""
    try:
        return Box(*corners)
    except UsageError:
        return None
