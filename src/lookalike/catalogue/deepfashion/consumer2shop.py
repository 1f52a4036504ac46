"""DeepFashion's Consumer-to-shop Clothes Retrieval Benchmark: queries are consumer photos, the gallery is shop photos.

Source: README of the benchmark; Liu et al. 2016, DeepFashion: Powering Robust Clothes Recognition and Retrieval with
Rich Annotations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lookalike.catalogue.benchmark import Benchmark, Pair, Sides
from lookalike.catalogue.deepfashion.annotation_file import (
    PHOTO_NAME,
    AnnotationFile,
    DataSetFiles,
    Problems,
    find_photos,
    is_photo_name,
)
from lookalike.catalogue.deepfashion.photo_annotations import (
    CLOTHES_TYPES,
    Boxes,
    Landmarks,
    Photos,
    items_of,
    read_boxes,
    read_landmarks,
)
from lookalike.catalogue.deepfashion.positive_labels import Positives, read_positives, unrepeated
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError
from lookalike.types import JSON

PARTITION = "image_pair_name_1 image_pair_name_2 item_id evaluation_status"
SPLITS = ("train", "val", "test")
SOURCES = {1: "shop", 2: "consumer"}
FOLDERS = ("Eval", "Anno", "Anno/attributes", ".")
PUBLISHED = {"photos": 239557, "pairs": 195540, "products": 33881, "attributes": 303}

_CONSUMER = ("consumer",)
SIDES = {
    "test": Sides({"split": ("test",), "source": _CONSUMER}, {"split": ("test",), "source": ("shop",)}),
    "val": Sides({"split": ("val",), "source": _CONSUMER}, {"split": ("val",), "source": ("shop",)}),
    "val+test": Sides({"split": ("test",), "source": _CONSUMER}, {"split": ("val", "test"), "source": ("shop",)}),
}
"""Queries and gallery by protocol. The gallery of the README is the shop photos of `test`; some projects add those of
`val`, which is harder."""


@dataclass(slots=True)
class _Annotations:
    """Annotations by number of the photo or id of the product."""

    photos: Photos = field(default_factory=Photos)
    products: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    is_shop: bytearray = field(default_factory=bytearray)
    pairs: list[Pair] = field(default_factory=list)
    boxes: Boxes | None = None
    types: bytearray | None = None
    landmarks: Landmarks | None = None
    attribute_types: dict[str, str] = field(default_factory=dict)
    labels: Positives | None = None
    product_rows: dict[str, int] = field(default_factory=dict)


def open_consumer2shop(root: Path, *, photos: str | None = None) -> Catalogue:
    """Open the benchmark, after checking all of its files.

    Every photo is one item, also when it is in several pairs. Its id is the photo's name, such as
    `img/DRESSES/Dress/id_00000001/comsumer_01.jpg` (the published spelling), its product such as `id_00000001`.
    Attributes: `split` (`train`, `val` or `test`), `source` (`consumer` or `shop`), `group`, `category`; and where
    their files exist `clothes_type`, `attributes` (a list), `landmarks`. The pairs are in the catalogue's benchmark.

    Args:
        root: An absolute path.
        photos: Folder of the photos, `img` or `img_highres`; None takes the first that is there.

    Raises:
        CatalogueError: A required file is missing, or cannot be read.
        AnnotationError: A line of a file is malformed.
        AnnotationErrors: Several lines or files are.
    """
    problems = Problems(str(root))
    files = DataSetFiles(root, FOLDERS)
    partition = files.need("list_eval_partition.txt", problems=problems)
    folder, photo_folder = find_photos(root, problems, wanted=photos)
    annotations = _Annotations()
    if partition is not None:
        _read_pairs(AnnotationFile(partition, problems, PARTITION), annotations)
        _read_items(files, annotations, problems)
        _read_photos(files, annotations, problems, boxes_fit=photo_folder == "img")
        _read_attributes(files, annotations, problems)
    problems.raise_any()

    items = items_of(
        annotations.photos,
        annotations.products,
        annotations.boxes,
        folder=folder,
        photo_folder=photo_folder,
        attributes=partial(_attributes, annotations),
    )
    return Catalogue(
        kind="consumer2shop",
        source=str(root),
        items=items,
        count=len(annotations.photos),
        notes=tuple(problems.notes),
        photos=photo_folder,
        benchmark=Benchmark(
            name="consumer2shop",
            sides=SIDES,
            pairs=tuple(annotations.pairs),
            attribute_types=annotations.attribute_types,
            published=PUBLISHED,
        ),
    )


def _read_pairs(file: AnnotationFile, annotations: _Annotations) -> None:
    """Read the pairs; the first line of the file is their number."""
    for line, (consumer, shop, product, split) in file.fields(4):
        if not (is_photo_name(consumer) and is_photo_name(shop)):
            wrong = shop if is_photo_name(consumer) else consumer
            file.problems.line(file.path, line, wrong, expected=PHOTO_NAME)
        elif split not in SPLITS:
            file.problems.line(file.path, line, split, expected=f"one of {', '.join(SPLITS)}")
        else:
            fine = [
                _take(file, line, annotations, photo=photo, is_shop=is_shop, product=product, split=split)
                for photo, is_shop in ((consumer, False), (shop, True))
            ]
            if all(fine):
                names, numbers = annotations.photos.names, annotations.photos.numbers
                annotations.pairs.append(Pair(names[numbers[consumer]], names[numbers[shop]], product, split))
    if not annotations.pairs and not file.problems.found:
        file.problems.add(CatalogueError(f"{file.path}: there are no pairs in it"))
    split_of: dict[str, str] = {}
    torn = {
        product
        for product, split in zip(annotations.products, annotations.splits, strict=True)
        if split_of.setdefault(product, split) != split
    }
    if torn:
        file.problems.notes.append(f"{len(torn):,} products are in more than one split, such as {min(torn)}")


def _take(
    file: AnnotationFile, line: int, annotations: _Annotations, *, photo: str, is_shop: bool, product: str, split: str
) -> bool:
    """Add one photo of a pair; return False if an earlier pair gives it another product, split or source."""
    number = annotations.photos.add(photo)
    if number == len(annotations.products):
        annotations.products.append(product)
        annotations.splits.append(split)
        annotations.is_shop.append(is_shop)
        return True
    before = (annotations.products[number], annotations.splits[number], bool(annotations.is_shop[number]))
    if before == (product, split, is_shop):
        return True
    expected = f"{'a shop' if before[2] else 'a consumer'} photo of {before[0]} in {before[1]}, as in a pair before"
    file.problems.line(file.path, line, photo, expected=expected)
    return False


def _read_items(files: DataSetFiles, annotations: _Annotations, problems: Problems) -> None:
    names = ("list_item_consumer2shop.txt", "list_items_consumer2shop.txt")
    path = files.want(*names, what="list of products", problems=problems)
    if path is None:
        return
    listed = {product for _, (product,) in AnnotationFile(path, problems).fields(1)}
    without = listed.symmetric_difference(annotations.products)
    if without:
        problems.notes.append(
            f"{len(without):,} products are either in {path.name} or in a pair, such as {min(without)}"
        )


def _read_photos(files: DataSetFiles, annotations: _Annotations, problems: Problems, *, boxes_fit: bool) -> None:
    if path := files.want("list_bbox_consumer2shop.txt", what="boxes", problems=problems):
        file = AnnotationFile(path, problems, "image_name clothes_type source_type x_1 y_1 x_2 y_2")
        boxes, (annotations.types, sources) = read_boxes(file, annotations.photos, codes=2)
        both = zip(sources, annotations.is_shop, strict=True)
        other = sum(SOURCES.get(source) == ("shop", "consumer")[is_shop] for source, is_shop in both)
        if other:
            problems.notes.append(f"{other:,} photos are of the other source in {path.name} than in their pairs")
        if boxes_fit:
            annotations.boxes = boxes
        else:
            problems.notes.append("no boxes: they are those of img/, and the photos here are img_highres/")
    if path := files.want("list_landmarks_consumer2shop.txt", what="landmarks", problems=problems):
        columns = "image_name clothes_type variation_type landmark_visibility_1 landmark_location_x_1 ..."
        annotations.landmarks, _ = read_landmarks(AnnotationFile(path, problems, columns), annotations.photos, first=3)


def _read_attributes(files: DataSetFiles, annotations: _Annotations, problems: Problems) -> None:
    """Read the attributes of products."""
    names = files.want("list_attr_cloth.txt", what="attributes", problems=problems)
    labels = files.want("list_attr_items.txt", what="attributes of products", problems=problems) if names else None
    if names is None or labels is None:
        return
    kinds = files.want("list_attr_type.txt", what="types of attributes", problems=problems)
    type_names = {code: name for name, code in _read_names(kinds, problems)} if kinds else {}
    rows = _read_names(names, problems)
    annotations.attribute_types = {name: type_names.get(code, code) for name, code in rows}
    for product in annotations.products:
        annotations.product_rows.setdefault(product, len(annotations.product_rows))
    annotations.labels = Positives([name for name, _ in rows], count=len(annotations.product_rows))
    file = AnnotationFile(labels, problems, "item_id attribute_labels", is_row=lambda text: text.startswith("id_"))
    read_positives(file, annotations.labels, row_of=unrepeated(file, annotations.product_rows))


def _read_names(path: Path, problems: Problems) -> list[tuple[str, str]]:
    """Read rows of a Chinese name, an optional remark in brackets, an English name and a code; return the last two.

    The Chinese name is not always valid UTF-8; the English name may contain spaces.
    """
    columns = "attribute_name attribute_type"
    file = AnnotationFile(path, problems, columns, is_row=lambda text: text[-1].isdigit(), lenient=True)
    rows: list[tuple[str, str]] = []
    for line, text in file.rows():
        words = text.split()
        english = words[1:-1]
        if english and english[0].startswith(("(", "\uff08")):
            english = english[1:]
        if not english or not words[-1].isdigit():
            problems.line(path, line, text, expected="a name in Chinese, one in English, and a number")
        rows.append((" ".join(english), words[-1]))
    return rows


def _attributes(annotations: _Annotations, number: int) -> dict[str, JSON]:
    """Attributes of a photo; missing values are left out."""
    folders = annotations.photos.names[number].split("/")[1:-2]
    product = annotations.products[number]
    known: dict[str, JSON] = {
        "split": annotations.splits[number],
        "source": "shop" if annotations.is_shop[number] else "consumer",
    }
    if len(folders) == 2:
        known["group"], known["category"] = folders
    if annotations.types and (clothes_type := CLOTHES_TYPES.get(str(annotations.types[number]))):
        known["clothes_type"] = clothes_type
    if annotations.labels and annotations.product_rows[product] in annotations.labels:
        known["attributes"] = annotations.labels.of(annotations.product_rows[product])
    if annotations.landmarks and (landmarks := annotations.landmarks.of(number)):
        known["landmarks"] = landmarks
    return known
