"""DeepFashion's In-shop Clothes Retrieval Benchmark: photos of 7,982 products, split into train, query and gallery.

Source: README of the benchmark; Liu et al. 2016, DeepFashion: Powering Robust Clothes Recognition and Retrieval with
Rich Annotations.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lookalike.catalogue.benchmark import Benchmark, Sides
from lookalike.catalogue.deepfashion.annotation_file import (
    AnnotationFile,
    DataSetFiles,
    Problems,
    find_photos,
    reading_errors,
)
from lookalike.catalogue.deepfashion.photo_annotations import (
    CLOTHES_TYPES,
    Boxes,
    Landmarks,
    Photos,
    RowMatcher,
    items_of,
    read_boxes,
    read_landmarks,
)
from lookalike.catalogue.deepfashion.positive_labels import Positives, read_positives, unrepeated
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError
from lookalike.types import JSON

PARTITION = "image_name item_id evaluation_status"
SPLITS = ("train", "query", "gallery")
POSES = {1: "front", 2: "side", 3: "back", 4: "zoom-out", 5: "zoom-in", 6: "stand-alone"}
VARIATIONS = {1: "normal", 2: "medium pose", 3: "large pose", 4: "medium zoom-in", 5: "large zoom-in"}
FOLDERS = ("Eval", "Anno", "Anno/attributes", ".")
PUBLISHED = {
    "photos": 52712,
    "products": 7982,
    "train photos": 25882,
    "query photos": 14218,
    "gallery photos": 12612,
    "train products": 3997,
    "query products": 3985,
    "gallery products": 3985,
}
SIDES = {"test": Sides({"split": ("query",)}, {"split": ("gallery",)})}

_FILE_NAME = re.compile(r"(?P<variant>\d+)_(?P<number>\d+)_(?P<view>\w+)\.\w+")


@dataclass(slots=True)
class _Annotations:
    """Annotations by number of the photo or id of the product."""

    photos: Photos = field(default_factory=Photos)
    products: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    boxes: Boxes | None = None
    types: bytearray | None = None
    poses: bytearray | None = None
    landmarks: Landmarks | None = None
    variations: bytearray | None = None
    colors: list[str] | None = None
    descriptions: dict[str, dict[str, str]] = field(default_factory=dict)
    labels: Positives | None = None
    product_rows: dict[str, int] = field(default_factory=dict)


def open_inshop(root: Path, *, photos: str | None = None) -> Catalogue:
    """Open the benchmark, after checking all of its files.

    An item's id is its photo's name, such as `img/WOMEN/Dresses/id_00000002/02_1_front.jpg`, and its product such as
    `id_00000002`. Attributes: `split` (`train`, `query` or `gallery`), `gender`, `category`, `variant` (photos with the
    same product and variant have the same colour), `view`; and where their files exist `clothes_type`, `pose`,
    `variation`, `color`, `description`, `attributes` (a list), `landmarks`.

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
        _read_partition(AnnotationFile(partition, problems, PARTITION), annotations)
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
        kind="inshop",
        source=str(root),
        items=items,
        count=len(annotations.photos),
        notes=tuple(problems.notes),
        photos=photo_folder,
        benchmark=Benchmark(
            name="inshop",
            sides=SIDES,
            attribute_types=dict.fromkeys(annotations.labels.names, "attribute") if annotations.labels else {},
            published=PUBLISHED,
        ),
    )


def _read_partition(file: AnnotationFile, annotations: _Annotations) -> None:
    for line, (name, product, split) in file.fields(3):
        if split not in SPLITS:
            file.problems.line(file.path, line, split, expected=f"one of {', '.join(SPLITS)}")
        elif annotations.photos.add_new(file, line, name) is not None:
            annotations.products.append(product)
            annotations.splits.append(split)
    if not annotations.photos and not file.problems.found:
        file.problems.add(CatalogueError(f"{file.path}: there are no photos in it"))


def _read_items(files: DataSetFiles, annotations: _Annotations, problems: Problems) -> None:
    """Compare the list of products with the products of the partition, and note differences."""
    path = files.want("list_item_inshop.txt", what="list of products", problems=problems)
    if path is None:
        return
    listed: set[str] = set()
    for line, (product,) in AnnotationFile(path, problems).fields(1):
        if product in listed or not product.startswith("id_"):
            problems.line(path, line, product, expected="the id of a product, such as id_00000001, once")
        listed.add(product)
    used = set(annotations.products)
    for missing, of, others in (
        (used - listed, path.name, "the partition"),
        (listed - used, "the partition", path.name),
    ):
        if missing:
            problems.notes.append(f"{len(missing):,} products of {others} are not in {of}, such as {min(missing)}")


def _read_photos(files: DataSetFiles, annotations: _Annotations, problems: Problems, *, boxes_fit: bool) -> None:
    if path := files.want("list_bbox_inshop.txt", what="boxes", problems=problems):
        columns = "image_name clothes_type pose_type x_1 y_1 x_2 y_2"
        boxes, (annotations.types, annotations.poses) = read_boxes(
            AnnotationFile(path, problems, columns), annotations.photos, codes=2
        )
        if boxes_fit:
            annotations.boxes = boxes
        else:
            problems.notes.append("no boxes: they are those of img/, and the photos here are img_highres/")
    if path := files.want("list_landmarks_inshop.txt", what="landmarks", problems=problems):
        columns = "image_name clothes_type variation_type landmark_visibility_1 landmark_location_x_1 ..."
        file = AnnotationFile(path, problems, columns)
        annotations.landmarks, annotations.variations = read_landmarks(file, annotations.photos, first=3)
    if path := files.want("list_color_cloth.txt", what="colours", problems=problems):
        annotations.colors = _read_colors(AnnotationFile(path, problems, "image_name color"), annotations.photos)
    if path := files.want("list_description_inshop.json", what="descriptions", problems=problems):
        annotations.descriptions = _read_descriptions(path, problems)


def _read_colors(file: AnnotationFile, photos: Photos) -> list[str]:
    """Read the colour of each photo; a colour may contain spaces and slashes."""
    colors, matcher = [""] * len(photos), RowMatcher(file, photos)
    known: dict[str, str] = {}
    for line, text in file.rows():
        name, color = (*text.split(maxsplit=1), "")[:2]
        if not color:
            file.problems.line(file.path, line, text, expected=f"a photo and its colour ({file.columns})")
            continue
        number = matcher.number(name, line)
        if number is not None:
            color = " ".join(color.split())
            colors[number] = known.setdefault(color, color)
    matcher.note(what="colour")
    return colors


def _read_descriptions(path: Path, problems: Problems) -> dict[str, dict[str, str]]:
    """Read the description of each product by colour."""
    with reading_errors(path):
        data = path.read_bytes()
    try:
        entries = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        problems.line(path, line, getattr(error, "msg", str(error)), expected="JSON")
        return {}
    if not isinstance(entries, list):
        problems.line(path, 1, type(entries).__name__, expected="a list of objects with item, color and description")
        return {}
    descriptions: dict[str, dict[str, str]] = {}
    for place, entry in enumerate(entries, start=1):
        known = entry if isinstance(entry, dict) else {}
        item, color, lines = known.get("item"), known.get("color", ""), known.get("description")
        lines = [lines] if isinstance(lines, str) else lines
        if not (isinstance(item, str) and isinstance(color, str) and isinstance(lines, list)):
            expected = "an object with item, color and description"
            problems.add(CatalogueError(f"{path}: entry {place}: expected {expected}, got {str(entry)[:60]!r}"))
            continue
        text = " ".join(" ".join(str(part) for part in lines).split())
        descriptions.setdefault(item, {})[" ".join(color.split())] = text
    return descriptions


def _read_attributes(files: DataSetFiles, annotations: _Annotations, problems: Problems) -> None:
    """Read the attributes of products."""
    names = files.want("list_attr_cloth.txt", what="attributes", problems=problems)
    labels = files.want("list_attr_items.txt", what="attributes of products", problems=problems) if names else None
    if names is None or labels is None:
        return
    file = AnnotationFile(names, problems, "attribute_name", is_row=lambda text: text != "attribute_name")
    for product in annotations.products:
        annotations.product_rows.setdefault(product, len(annotations.product_rows))
    annotations.labels = Positives(
        [" ".join(text.split()) for _, text in file.rows()], count=len(annotations.product_rows)
    )
    columns = "item_id attribute_labels"
    file = AnnotationFile(labels, problems, columns, is_row=lambda text: text.startswith("id_"))
    read_positives(file, annotations.labels, row_of=unrepeated(file, annotations.product_rows))


def _attributes(annotations: _Annotations, number: int) -> dict[str, JSON]:
    """Attributes of a photo; missing values are left out."""
    _, *folders, file_name = annotations.photos.names[number].split("/")
    product = annotations.products[number]
    known: dict[str, JSON] = {"split": annotations.splits[number]}
    if len(folders) == 3:
        known["gender"], known["category"], _ = folders
    if match := _FILE_NAME.fullmatch(file_name):
        known["variant"], known["view"] = match["variant"], match["view"]
    if annotations.types and annotations.poses:
        known["clothes_type"] = CLOTHES_TYPES.get(str(annotations.types[number]))
        known["pose"] = POSES.get(annotations.poses[number])
    if annotations.variations:
        known["variation"] = VARIATIONS.get(annotations.variations[number])
    color = annotations.colors[number] if annotations.colors else ""
    known["color"] = color
    by_color = annotations.descriptions.get(product, {})
    known["description"] = by_color.get(color) or (next(iter(by_color.values())) if len(by_color) == 1 else "")
    if annotations.labels and annotations.product_rows[product] in annotations.labels:
        known["attributes"] = annotations.labels.of(annotations.product_rows[product])
    if annotations.landmarks:
        known["landmarks"] = annotations.landmarks.of(number) or None
    return {name: value for name, value in known.items() if value not in (None, "")}
