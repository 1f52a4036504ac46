"""DeepFashion2: garments in consumers' and shops' photos, and retrieval from the one to the other.

An item is a garment, of which a photo may show several. Garments of one `pair_id` and one `style` above 0 are the same;
style 0 is that of garments without a counterpart. Queries are the consumers' garments of a style above 0, the gallery
is every shop garment, and papers print the accuracy among the first 1, 5, 10, 15 and 20 answers, which is the hit rate.

Source: README, evaluation/evaluation.md and deepfashion2_api/PythonAPI/deepfashion2_retrieval_test.py of
github.com/switchablenorms/DeepFashion2; Ge et al. 2019, DeepFashion2: A Versatile Benchmark for Detection, Pose
Estimation, Segmentation and Re-Identification of Clothing Images, section 4.4. Totals are those of the released data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from lookalike.catalogue.benchmark import Benchmark, Sides
from lookalike.catalogue.benchmarks.json_files import count_of, numbers_of, read_json
from lookalike.catalogue.deepfashion.annotation_file import Problems
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError, UsageError
from lookalike.types import JSON, Box, Item

SPLITS: Final = ("train", "validation")
SOURCES: Final = {"shop": "shop", "user": "consumer"}
CATEGORIES: Final = (
    *("short sleeve top", "long sleeve top", "short sleeve outwear", "long sleeve outwear", "vest", "sling", "shorts"),
    *("trousers", "skirt", "short sleeve dress", "long sleeve dress", "vest dress", "sling dress"),
)
GRADES: Final = {
    "scale": ("small", "moderate", "large"),
    "occlusion": ("slight", "medium", "heavy"),
    "zoom_in": ("no", "medium", "large"),
    "viewpoint": ("no wear", "frontal", "side or back"),
}
"""Values of the variations by their numbers from 1, named as in the README's tables."""

PUBLISHED: Final = {
    "train photos": 191961,
    "validation photos": 32153,
    "train garments": 312186,
    "validation garments": 52490,
}
_QUERIES = {"split": ("validation",), "source": ("consumer",), "pairing": ("paired",)}
_GALLERY = {"split": ("validation",), "source": ("shop",)}
SIDES: Final = {"validation": Sides(_QUERIES, _GALLERY, depths=(1, 5, 10, 15, 20))}

LONGEST: Final = 2**22
"""Bytes of the annotations of a photo."""

_NAME = re.compile(r"\d{6}\.json")
_ITEM = re.compile(r"item\d{1,3}")


class _Garment(NamedTuple):
    """A garment of a photo, as annotated."""

    split: str
    number: str
    name: str
    source: str
    pair: int
    style: int
    category: int
    box: Box | None
    grades: tuple[int, ...]

    def item(self, root: str) -> Item:
        """Return the item."""
        known: dict[str, JSON] = {
            "split": self.split,
            "source": self.source,
            "pairing": "paired" if self.style else "single",
            "category": CATEGORIES[self.category - 1],
            "pair": self.pair,
            "style": self.style,
        }
        for (name, values), grade in zip(GRADES.items(), self.grades, strict=True):
            if grade:
                known[name] = values[grade - 1]
        return Item(
            id=f"{self.split}/{self.number}/{self.name}",
            photo=f"{self.split}/image/{self.number}.jpg",
            root=root,
            product=f"{self.split}-{self.pair}-{self.style}" if self.style else None,
            box=self.box,
            attributes=known,
        )


def open_deepfashion2(root: Path) -> Catalogue:
    """Open DeepFashion2, after checking the annotations of every photo.

    An item's id is such as `validation/000001/item1`, its product such as `validation-1-2`, of split, pair and style;
    None for style 0. Attributes: `split` (`train` or `validation`), `source` (`consumer` or `shop`), `pairing`
    (`paired` for a style above 0, else `single`), `category`, `pair`, `style`, and where they are annotated `scale`,
    `occlusion`, `zoom_in`, `viewpoint`.

    Args:
        root: An absolute path.

    Raises:
        CatalogueError: There are no annotations, or one cannot be read or understood.
        AnnotationErrors: Several cannot.
    """
    problems = Problems(str(root))
    garments: list[_Garment] = []
    for split in SPLITS:
        if os.path.isdir(root / split / "annos"):  # noqa: PTH112 - Path.is_dir is an error where it cannot look
            garments += _read_split(root, split, problems)
        else:
            problems.notes.append(f"no {split} garments: {split}/annos is missing")
    if not garments and not problems.found:
        problems.add(CatalogueError(f"{root}: there are no garments in {' or '.join(f'{s}/annos' for s in SPLITS)}"))
    problems.raise_any()
    return Catalogue(
        kind="deepfashion2",
        source=str(root),
        items=_Items(garments, str(root)).__iter__,
        count=len(garments),
        notes=tuple(problems.notes),
        benchmark=Benchmark(name="deepfashion2", sides=SIDES, published=PUBLISHED, of_garments=True),
    )


@dataclass(frozen=True, slots=True)
class _Items:
    """Items of garments, made when they are asked for."""

    garments: Sequence[_Garment]
    root: str

    def __iter__(self) -> Iterator[Item]:
        return (garment.item(self.root) for garment in self.garments)


def _read_split(root: Path, split: str, problems: Problems) -> Iterator[_Garment]:
    """Yield the garments of a split, in the order of the photos."""
    folder = root / split / "annos"
    try:
        with os.scandir(folder) as listing:
            names = sorted(entry.name for entry in listing if not entry.name.startswith("."))
    except OSError as error:
        problems.add(CatalogueError(f"{folder}: {(error.strerror or str(error)).lower()}"))
        return
    others = [name for name in names if not _NAME.fullmatch(name)]
    if others:
        problems.notes.append(
            f"{len(others):,} files of {split}/annos are not named like 000001.json, such as {others[0]}"
        )
    without_garments = empty_boxes = 0
    for name in names:
        if _NAME.fullmatch(name):
            found = [*_garments(folder / name, split, problems)]
            without_garments += not found
            empty_boxes += sum(garment.box is None for garment in found)
            yield from found
    if without_garments and not problems.found:
        problems.notes.append(f"{without_garments:,} photos of {split} have no garments")
    if empty_boxes:
        problems.notes.append(f"{empty_boxes:,} boxes of {split} enclose nothing; those photos are used whole")


def _garments(path: Path, split: str, problems: Problems) -> Iterator[_Garment]:
    """Yield the garments of a photo."""
    annotations = read_json(path, problems, longest=LONGEST)
    if annotations is None:
        return
    known = annotations if isinstance(annotations, dict) else {}
    source, pair = SOURCES.get(str(known.get("source"))), count_of(known.get("pair_id"))
    if source is None or pair is None:
        expected = "an object with source, shop or user, and pair_id, a whole number"
        problems.line(path, 1, f"{annotations!r}"[:200], expected=expected)
        return
    for name, values in known.items():
        if name not in ("source", "pair_id"):
            garment = _garment(split, path.stem, name, source, pair, values)
            if garment is not None:
                yield garment
            else:
                expected = f"{name!r} to be itemN with style, category_id to {len(CATEGORIES)} and bounding_box"
                problems.line(path, 1, f"{values!r}"[:200], expected=expected)


def _garment(split: str, number: str, name: str, source: str, pair: int, values: JSON) -> _Garment | None:
    """Garment of its annotations; None if they are malformed."""
    if not _ITEM.fullmatch(name) or not isinstance(values, dict):
        return None
    style, category = count_of(values.get("style")), count_of(values.get("category_id"))
    corners = numbers_of(values.get("bounding_box"), 4)
    grades = tuple(values.get(grade, 0) for grade in GRADES)
    if style is None or category is None or not 1 <= category <= len(CATEGORIES) or corners is None:
        return None
    if not all(type(grade) is int and 0 <= grade <= 3 for grade in grades):
        return None
    try:
        box = Box(*(max(0, corner) for corner in corners))
    except UsageError:
        box = None
    return _Garment(split, number, name, source, pair, style, category, box, grades)
