"""The fine annotations of DeepFashion's Category and Attribute Prediction Benchmark: `Anno_fine`.

Files have neither a count nor column names: `train.txt` holds the paths of a split's photos, and `train_attr.txt`,
`train_cate.txt`, `train_bbox.txt` and `train_landmarks.txt` have one row for each path, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lookalike.catalogue.deepfashion.annotation_file import AnnotationFile, DataSetFiles, Problems, find_photos
from lookalike.catalogue.deepfashion.attributes import (
    FINE_TYPES,
    SPLITS,
    Annotations,
    attributes_catalogue,
    read_attribute_names,
    read_category,
    read_category_names,
)
from lookalike.catalogue.deepfashion.photo_annotations import Boxes, Landmarks, whole_numbers
from lookalike.catalogue.deepfashion.positive_labels import Positives, positive_labels
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError

LANDMARK_NUMBERS = 16


def open_fine(folder: Path, *, photos: str | None = None) -> Catalogue:
    """Open `Anno_fine`, after checking all of its files; the photos are in its parent folder.

    Items are those of `lookalike.catalogue.deepfashion.attributes.open_attributes`, with the splits of this folder.
    The value of each of the six types of attributes is an attribute too: `texture`, `sleeve`, `length`, `neckline`,
    `fabric`, `fit`. Landmarks are `[x, y]`.

    Args:
        folder: An absolute path.
        photos: Folder of the photos, `img` or `img_highres`; None takes the first that is there.

    Raises:
        CatalogueError: A required file is missing, or cannot be read.
        AnnotationError: A line of a file is malformed.
        AnnotationErrors: Several lines or files are.
    """
    problems = Problems(str(folder))
    files = DataSetFiles(folder, (".",))
    root = folder.parent
    photos_in = find_photos(root, problems, wanted=photos)
    category_names = DataSetFiles(root, (folder.name, "Anno_coarse", "Anno", ".")).need(
        "list_category_cloth.txt", problems=problems
    )
    attribute_names = files.need("list_attr_cloth.txt", problems=problems)
    annotations = Annotations()
    if category_names and attribute_names:
        annotations.category_types = read_category_names(category_names, problems)
        annotations.attribute_types = read_attribute_names(attribute_names, problems)
        lists = {split: files.need(f"{split}.txt", problems=problems) for split in SPLITS}
        for split, path in lists.items():
            if path is not None:
                _read_paths(path, split, annotations, problems)
        _read_columns(files, annotations, problems, boxes_fit=photos_in[1] == "img")
    problems.raise_any()
    published = {"attributes": len(FINE_TYPES), "categories": 50}
    return attributes_catalogue(annotations, problems, root=folder, photos_in=photos_in, published=published)


def _read_paths(path: Path, split: str, annotations: Annotations, problems: Problems) -> None:
    file = AnnotationFile(path, problems, counted=False)
    for line, (name,) in file.fields(1):
        if annotations.photos.add_new(file, line, name) is not None:
            annotations.splits.append(split)


def _read_columns(files: DataSetFiles, annotations: Annotations, problems: Problems, *, boxes_fit: bool) -> None:
    """Read the files that have one row for each path of a split."""
    count = len(annotations.photos)
    annotations.categories = bytearray(count)
    annotations.labels = Positives(list(annotations.attribute_types), count=count)
    boxes, annotations.landmarks = Boxes(count), Landmarks(count, width=2)
    for number, file, line, text in _rows(files, "cate", annotations, problems):
        annotations.categories[number] = read_category(file, line, text, count=len(annotations.category_types))
    for number, file, line, text in _rows(files, "attr", annotations, problems):
        labels = positive_labels(text, len(annotations.attribute_types))
        if labels is None:
            problems.line(file.path, line, text, expected=f"{len(annotations.attribute_types)} labels, each 1, -1 or 0")
        else:
            annotations.labels.put(number, labels)
    for number, file, line, text in _rows(files, "bbox", annotations, problems):
        corners = whole_numbers(text.split())
        if corners is None or len(corners) != 4:
            problems.line(file.path, line, text, expected="x_1 y_1 x_2 y_2, whole numbers")
        else:
            boxes.put(number, corners)
    boxes.note(problems, file="*_bbox.txt")
    for number, file, line, text in _rows(files, "landmarks", annotations, problems):
        values = whole_numbers(text.split())
        if values is None or len(values) != LANDMARK_NUMBERS:
            problems.line(file.path, line, text, expected=f"{LANDMARK_NUMBERS} whole numbers, x and y of 8 landmarks")
        else:
            annotations.landmarks.put(number, values)
    if boxes_fit:
        annotations.boxes = boxes


def _rows(
    files: DataSetFiles, what: str, annotations: Annotations, problems: Problems
) -> Iterator[tuple[int, AnnotationFile, int, str]]:
    """Yield photo number, file, line and text of each row of `{split}_{what}.txt`, for all splits."""
    first = 0
    for split in SPLITS:
        wanted = annotations.splits.count(split)
        path = files.want(f"{split}_{what}.txt", what=f"{what} of {split}", problems=problems)
        if path is not None:
            file = AnnotationFile(path, problems, counted=False)
            count = 0
            for line, text in file.rows():
                if count < wanted:
                    yield first + count, file, line, text
                count += 1
            if count != wanted:
                expected = f"{wanted:,} rows, one for each path in {split}.txt, got {count:,}"
                problems.add(CatalogueError(f"{path}: expected {expected}"))
        first += wanted
