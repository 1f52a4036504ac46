"""Fashion IQ: photos of three categories, and what people wrote about how one differs from another.

A query is a photo, the candidate, with its captions; the target is the photo that they describe. Papers print the hit
rates at 10 and 50 among the photos of the category, printed as Recall@K, and their means over the categories.

Source: github.com/XiaoxiaoGuo/fashion-iq, its `captions` and `image_splits`; Wu et al. 2021, Fashion IQ: A New Dataset
Towards Retrieving Images by Natural Language Feedback, sections 3 and 5.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from lookalike.catalogue.benchmark import Benchmark, Modification, WordSides
from lookalike.catalogue.benchmarks.json_files import entries, read_json, wrong_entry
from lookalike.catalogue.deepfashion.annotation_file import DataSetFiles, Problems
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError
from lookalike.types import Item

CATEGORIES: Final = ("dress", "shirt", "toptee")
SPLITS: Final = ("train", "val", "test")
PHOTO_FOLDERS: Final = ("images", "image_data", "resized_images")
PUBLISHED: Final = {
    "photos": 77684,
    "train photos": 46609,
    "val photos": 15537,
    "test photos": 15538,
    "train queries": 18000,
    "val queries": 6016,
}
WORDS: Final = WordSides("val", depths=(10, 50), within="category")
"""The captions of the test split name no targets."""

MOST_CAPTIONS: Final = 10
LONGEST_CAPTION: Final = 1000
_NAME: Final = re.compile(r"[\w-]{1,64}")
_CAPTION: Final = f"target and candidate of the split, and captions, 1 to {MOST_CAPTIONS} texts"


def open_fashioniq(root: Path) -> Catalogue:
    """Open Fashion IQ, after checking the lists that are there.

    An item is a photo of a category, such as `dress/B008BHCT58`. Attributes: `category` (`dress`, `shirt` or `toptee`)
    and `split` (`train`, `val` or `test`). The queries are in the catalogue's benchmark.

    Args:
        root: An absolute path.

    Raises:
        CatalogueError: There are no lists, or one cannot be read or understood.
        AnnotationErrors: Several cannot.
    """
    problems = Problems(str(root))
    lists, captions = DataSetFiles(root, ("image_splits", ".")), DataSetFiles(root, ("captions", "."))
    places = _places_of_photos(root, problems)
    items: dict[str, Item] = {}
    queries: list[Modification] = []
    for category in CATEGORIES:
        for split in SPLITS:
            path = lists.want(f"split.{category}.{split}.json", what=f"{split} photos of {category}", problems=problems)
            if path is None:
                continue
            known = _read_split(path, category, split, problems, places, items=items, root=root)
            if split != "test":  # its captions name no targets
                name = f"cap.{category}.{split}.json"
                told = captions.want(name, what=f"{split} queries of {category}", problems=problems)
                if told is not None:
                    queries += _read_captions(told, category, split, problems, known=known)
    if not items and not problems.found:
        problems.add(CatalogueError(f"{root}: there are no photos in split.dress.val.json and its like"))
    problems.raise_any()
    rows = tuple(items.values())
    return Catalogue(
        kind="fashioniq",
        source=str(root),
        items=lambda: iter(rows),
        count=len(rows),
        notes=tuple(problems.notes),
        benchmark=Benchmark(name="fashioniq", published=PUBLISHED, modifications=tuple(queries), words=WORDS),
    )


def _places_of_photos(root: Path, problems: Problems) -> dict[str, str]:
    """Find the photos by their names without suffix, in the folder of the photos or folders in it."""
    folder = next((name for name in PHOTO_FOLDERS if os.path.isdir(root / name)), None)  # noqa: PTH112 - never an error
    if folder is None:
        problems.add(CatalogueError(f"{root}: the photos are missing; expected a folder {' or '.join(PHOTO_FOLDERS)}"))
        return {}
    places: dict[str, str] = {}
    for here, folders, names in os.walk(root / folder):
        folders.sort()
        for name in sorted(names):
            place = os.path.relpath(os.path.join(here, name), root)  # noqa: PTH118 - of many thousands
            places.setdefault(name.partition(".")[0], place)
    return places


def _read_split(
    path: Path,
    category: str,
    split: str,
    problems: Problems,
    places: dict[str, str],
    *,
    items: dict[str, Item],
    root: Path,
) -> set[str]:
    """Read the photos of a split of a category into `items`; returns their names."""
    found = read_json(path, problems)
    if found is None:
        return set()
    if not isinstance(found, list):
        problems.line(path, 1, type(found).__name__, expected="a list of names of photos")
        return set()
    names: set[str] = set()
    for number, name in enumerate(found, start=1):
        item_id = f"{category}/{name}"
        if not isinstance(name, str) or not _NAME.fullmatch(name) or item_id in items:
            wrong_entry(path, number, name, problems, expected="the name of a photo that has not come before")
            continue
        place = places.get(name, f"{PHOTO_FOLDERS[0]}/{name}.jpg")
        items[item_id] = Item(item_id, place, str(root), attributes={"category": category, "split": split})
        names.add(name)
    return names


def _read_captions(path: Path, category: str, split: str, problems: Problems, *, known: set[str]) -> list[Modification]:
    """Read the queries of a split of a category."""
    queries: list[Modification] = []
    for number, entry in entries(path, problems, expected=_CAPTION):
        target, candidate, texts = entry.get("target"), entry.get("candidate"), entry.get("captions")
        told = [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []
        if (
            target not in known
            or candidate not in known
            or not isinstance(texts, list)
            or not 1 <= len(told) == len(texts) <= MOST_CAPTIONS
            or not all(text.strip() and len(text) <= LONGEST_CAPTION for text in told)
        ):
            wrong_entry(path, number, entry, problems, expected=_CAPTION)
            continue
        queries.append(Modification(f"{category}/{candidate}", f"{category}/{target}", tuple(told), category, split))
    return queries
