"""Stanford Online Products: photos of 22,634 products, half of which train and half of which test.

Source: README of the data set, `Stanford_Online_Products/README`; Song et al. 2016, Deep Metric Learning via Lifted
Structured Feature Embedding, section 5 (splits, and hit rates at 1, 10, 100, 1000, printed as Recall@K).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lookalike.catalogue.benchmark import Benchmark, Sides
from lookalike.catalogue.benchmarks.listed_photos import ListedPhotos
from lookalike.catalogue.deepfashion.annotation_file import AnnotationFile, DataSetFiles, Problems, counted_number
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError

FILES: Final = {"train": "Ebay_train.txt", "test": "Ebay_test.txt"}
COLUMNS: Final = "image_id class_id super_class_id path"
SUPER_CLASSES: Final = 12
PUBLISHED: Final = {
    "photos": 120053,
    "products": 22634,
    "train photos": 59551,
    "test photos": 60502,
    "train products": 11318,
    "test products": 11316,
}
SIDES: Final = {
    "test": Sides({"split": ("test",)}, {"split": ("test",)}, leave_one_out=True, depths=(1, 10, 100, 1000)),
}


def open_online_products(root: Path) -> Catalogue:
    """Open Stanford Online Products, after checking both of its lists.

    An item's id is its photo's path, such as `bicycle_final/111085122871_0.JPG`, and its product the class, such as
    `1`. Attributes: `split` (`train` or `test`, by product) and `category` (the super class, such as `bicycle`).

    Args:
        root: An absolute path.

    Raises:
        CatalogueError: A list is missing, or cannot be read.
        AnnotationError: A line of a list is malformed.
        AnnotationErrors: Several lines or files are.
    """
    problems = Problems(str(root))
    files = DataSetFiles(root, (".",))
    photos = ListedPhotos(problems)
    split_of: dict[str, str] = {}
    for split, name in FILES.items():
        path = files.need(name, problems=problems)
        if path is not None:
            _read_list(path, split, photos, split_of, root=root)
    if not photos.rows and not problems.found:
        problems.add(CatalogueError(f"{root}: there are no photos in {' and '.join(FILES.values())}"))
    problems.raise_any()
    return Catalogue(
        kind="sop",
        source=str(root),
        items=photos.items(),
        count=len(photos.rows),
        notes=tuple(problems.notes),
        benchmark=Benchmark(name="sop", sides=SIDES, published=PUBLISHED),
    )


def _read_list(path: Path, split: str, photos: ListedPhotos, split_of: dict[str, str], *, root: Path) -> None:
    """Read one of the two lists.

    Args:
        path: The list.
        split: Split of its photos.
        photos: Takes the photos.
        split_of: Split by product, of the lists read before; takes those of this one.
        root: Folder of the data set.
    """
    problems = photos.problems
    file = AnnotationFile(
        path, problems, COLUMNS, is_row=lambda text: text.split(maxsplit=1)[0].isdigit(), counted=False
    )
    for line, (number, product, super_class, name) in file.fields(4):
        numbers = [counted_number(text) for text in (number, product, super_class)]
        if None in numbers or not 1 <= (numbers[2] or 0) <= SUPER_CLASSES:
            expected = f"three whole numbers, the last from 1 to {SUPER_CLASSES}, and a path ({COLUMNS})"
            problems.line(path, line, " ".join((number, product, super_class, name)), expected=expected)
        elif split_of.setdefault(product, split) != split:
            problems.line(path, line, product, expected=f"a class that is not in {FILES[split_of[product]]} too")
        else:
            category = name.split("/")[0].removesuffix("_final")
            known = {"split": split, "category": category if "/" in name else ""}
            photos.add(path, line, name, root=root, product=product, attributes={**known})
