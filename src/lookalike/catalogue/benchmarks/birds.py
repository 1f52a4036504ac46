"""Caltech-UCSD Birds-200-2011: photos of 200 species, as those who compare losses split them.

The first hundred species train and the last hundred test, so that no species is known from training. The data set's own
`train_test_split.txt` has all species on both sides and is for classification.

Source: README of the data set, `CUB_200_2011/README`; Wah et al. 2011, The Caltech-UCSD Birds-200-2011 Dataset; Song
et al. 2016, Deep Metric Learning via Lifted Structured Feature Embedding, section 5 (the split by species; whole
photos; hit rates at 1, 2, 4, 8, printed as Recall@K).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lookalike.catalogue.benchmark import Benchmark, Sides
from lookalike.catalogue.benchmarks.listed_photos import ListedPhotos
from lookalike.catalogue.deepfashion.annotation_file import AnnotationFile, DataSetFiles, Problems, counted_number
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError, UsageError
from lookalike.types import JSON, Box

LAST_TRAINING_CLASS: Final = 100
CLASSES: Final = 200
PHOTO_FOLDER: Final = "images"
PUBLISHED: Final = {
    "photos": 11788,
    "products": 200,
    "train photos": 5864,
    "test photos": 5924,
    "train products": 100,
    "test products": 100,
}
SIDES: Final = {
    "test": Sides({"split": ("test",)}, {"split": ("test",)}, leave_one_out=True, depths=(1, 2, 4, 8)),
}


def open_birds(root: Path) -> Catalogue:
    """Open CUB-200-2011, after checking its lists.

    An item's id is its photo's path in the list, such as `001.Black_footed_Albatross/Black_Footed_Albatross_0001.jpg`,
    and its product the number of its species, such as `1`. Attributes: `split` (`train` or `test`, by species),
    `class` (the species by name) and `classification_split` (of `train_test_split.txt`). Boxes are read; the published
    figures are for whole photos, see `lookalike.catalogue.benchmark.Benchmark.boxes`.

    Args:
        root: An absolute path.

    Raises:
        CatalogueError: A list is missing, or cannot be read.
        AnnotationError: A line of a list is malformed.
        AnnotationErrors: Several lines or files are.
    """
    problems = Problems(str(root))
    files = DataSetFiles(root, (".",))
    images = files.need("images.txt", problems=problems)
    labels = files.need("image_class_labels.txt", problems=problems)
    if not (root / PHOTO_FOLDER).is_dir():
        problems.add(CatalogueError(f"{root}: the photos are missing; expected a folder {PHOTO_FOLDER} in it"))
    photos = ListedPhotos(problems)
    if images is not None and labels is not None:
        classes = _classes(labels, problems)
        names = files.want("classes.txt", what="names of the classes", problems=problems)
        boxes = files.want("bounding_boxes.txt", what="boxes", problems=problems)
        splits = files.want("train_test_split.txt", what="split for classification", problems=problems)
        _read_photos(
            images,
            photos,
            classes=classes,
            names=_names(names, problems) if names else {},
            boxes=_boxes(boxes, problems) if boxes else {},
            splits=_splits(splits, problems) if splits else {},
        )
        if not photos.rows and not problems.found:
            problems.add(CatalogueError(f"{images}: there are no photos in it"))
    problems.raise_any()
    return Catalogue(
        kind="cub",
        source=str(root),
        items=photos.items(),
        count=len(photos.rows),
        notes=tuple(problems.notes),
        benchmark=Benchmark(name="cub", sides=SIDES, published=PUBLISHED, boxes=False),
    )


def _read_photos(
    path: Path,
    photos: ListedPhotos,
    *,
    classes: dict[str, int],
    names: dict[str, str],
    boxes: dict[str, Box],
    splits: dict[str, str],
) -> None:
    """Read `images.txt`; the other arguments are what the other lists say, by the photo's number or the class's."""
    for line, number, (name,) in _rows(path, photos.problems, columns="image_id image_name"):
        species = classes.get(number)
        if species is None:
            photos.problems.line(path, line, number, expected="a photo that image_class_labels.txt gives a class")
            continue
        known: dict[str, JSON] = {
            "split": "train" if species <= LAST_TRAINING_CLASS else "test",
            "class": names.get(str(species)),
            "classification_split": splits.get(number),
        }
        photos.add(
            path,
            line,
            f"{PHOTO_FOLDER}/{name}",
            item_id=name,
            root=path.parent,
            product=str(species),
            box=boxes.get(number),
            attributes=known,
        )


def _rows(path: Path, problems: Problems, *, columns: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line, number and further fields of each row; a repeated number is a problem."""
    seen: set[str] = set()
    file = AnnotationFile(path, problems, counted=False)
    for line, (number, *others) in file.fields(1, at_least=True):
        if counted_number(number) is None or len(others) != len(columns.split()) - 1:
            problems.line(path, line, " ".join((number, *others)), expected=f"{columns}, the first a whole number")
        elif number in seen:
            problems.line(path, line, number, expected="a number that has not come before")
        else:
            seen.add(number)
            yield line, number, others


def _classes(path: Path, problems: Problems) -> dict[str, int]:
    """Read the class of each photo by its number."""
    classes: dict[str, int] = {}
    for line, number, (text,) in _rows(path, problems, columns="image_id class_id"):
        species = counted_number(text)
        if species is None or not 1 <= species <= CLASSES:
            problems.line(path, line, text, expected=f"a class from 1 to {CLASSES}")
        else:
            classes[number] = species
    return classes


def _names(path: Path, problems: Problems) -> dict[str, str]:
    return {number: name for _, number, (name,) in _rows(path, problems, columns="class_id class_name")}


def _boxes(path: Path, problems: Problems) -> dict[str, Box]:
    """Read the box of each photo, `x y width height` in pixels."""
    boxes: dict[str, Box] = {}
    for line, number, texts in _rows(path, problems, columns="image_id x y width height"):
        try:
            x, y, width, height = (float(text) for text in texts)
            boxes[number] = Box(x, y, x + width, y + height)
        except (ValueError, UsageError):
            expected = "x, y, width and height of a box, in pixels"
            problems.line(path, line, " ".join((number, *texts)), expected=expected)
    return boxes


def _splits(path: Path, problems: Problems) -> dict[str, str]:
    """Read the split for classification of each photo by its number."""
    splits: dict[str, str] = {}
    for line, number, (text,) in _rows(path, problems, columns="image_id is_training_image"):
        if text not in ("0", "1"):
            problems.line(path, line, text, expected="1 for a training image or 0")
        else:
            splits[number] = "train" if text == "1" else "test"
    return splits
