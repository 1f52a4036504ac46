"""DeepFashion's Category and Attribute Prediction Benchmark: 289,222 photos in 50 categories with 1,000 attributes.

The release of 2016 keeps its annotations in `Anno`, the later one in `Anno_coarse`, beside `Anno_fine` with 26 cleaner
attributes of some 20,000 photos; `lookalike.catalogue.deepfashion.fine` reads those.

Source: README of the benchmark; Liu et al. 2016, DeepFashion: Powering Robust Clothes Recognition and Retrieval with
Rich Annotations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.catalogue.benchmark import Benchmark
from lookalike.catalogue.deepfashion.annotation_file import (
    AnnotationFile,
    DataSetFiles,
    Problems,
    counted_number,
    find_photos,
)
from lookalike.catalogue.deepfashion.photo_annotations import (
    CLOTHES_TYPES,
    Boxes,
    Landmarks,
    Photos,
    RowMatcher,
    read_boxes,
    read_landmarks,
)
from lookalike.catalogue.deepfashion.positive_labels import Positives, read_positives
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError
from lookalike.types import JSON, Item

PARTITION = "image_name evaluation_status"
SPLITS = ("train", "val", "test")
COARSE_TYPES = {"1": "texture", "2": "fabric", "3": "shape", "4": "part", "5": "style"}
FINE_TYPES = (
    *("texture",) * 7,
    *("sleeve",) * 3,
    *("length",) * 3,
    *("neckline",) * 4,
    *("fabric",) * 6,
    *("fit",) * 3,
)
"""Types of the 26 fine attributes by position; sources disagree about the codes in the file."""
PUBLISHED = {
    "photos": 289222,
    "categories": 50,
    "attributes": 1000,
    "train photos": 209222,
    "val photos": 40000,
    "test photos": 40000,
}
"""Published totals. Those of the splits are from descriptions of the benchmark; no source that ships the file states
them."""


@dataclass(slots=True)
class Annotations:
    """Annotations by number of the photo."""

    photos: Photos = field(default_factory=Photos)
    splits: list[str] = field(default_factory=list)
    category_types: dict[str, str] = field(default_factory=dict)
    attribute_types: dict[str, str] = field(default_factory=dict)
    categories: bytearray = field(default_factory=bytearray)
    boxes: Boxes | None = None
    landmarks: Landmarks | None = None
    labels: Positives | None = None


def open_attributes(root: Path, *, folders: Sequence[str], photos: str | None = None) -> Catalogue:
    """Open the benchmark, after checking all of its files; only positive labels are kept in memory.

    An item's id is its photo's name, such as `img/Sheer_Pleated-Front_Blouse/img_00000001.jpg`. Its product is the
    folder, a title; it is a weak label, since several titles may name one product and some titles name several.
    Attributes: `split` (`train`, `val` or `test`), `category`, `clothes_type` of the category (`upper` holds the twenty
    categories that the original system was trained on), `attributes` (a list) and `landmarks`.

    Args:
        root: An absolute path.
        folders: Folders below the root with annotations, in order of search.
        photos: Folder of the photos, `img` or `img_highres`; None takes the first that is there.

    Raises:
        CatalogueError: A required file is missing, or cannot be read.
        AnnotationError: A line of a file is malformed.
        AnnotationErrors: Several lines or files are.
    """
    problems = Problems(str(root))
    files = DataSetFiles(root, folders)
    partition = files.need("list_eval_partition.txt", problems=problems)
    names = files.need("list_category_cloth.txt", problems=problems)
    categories = files.need("list_category_img.txt", problems=problems)
    annotations = Annotations()
    folder, photo_folder = find_photos(root, problems, wanted=photos)
    if partition and names and categories:
        _read_partition(AnnotationFile(partition, problems, PARTITION), annotations)
        annotations.category_types = read_category_names(names, problems)
        _read_categories(AnnotationFile(categories, problems, "image_name category_label"), annotations)
        _read_photos(files, annotations, problems, boxes_fit=photo_folder == "img")
        _read_labels(files, annotations, problems)
    problems.raise_any()
    if (root / "Anno_fine").is_dir():
        problems.notes.append(f"the fine annotations are a separate catalogue: {root / 'Anno_fine'}")
    return attributes_catalogue(annotations, problems, root=root, photos_in=(folder, photo_folder), published=PUBLISHED)


def attributes_catalogue(
    annotations: Annotations,
    problems: Problems,
    *,
    root: Path,
    photos_in: tuple[Path, str],
    published: dict[str, int],
) -> Catalogue:
    """Make a catalogue from annotations."""
    folder, photo_folder = photos_in
    names = list(annotations.category_types)

    def items() -> Iterator[Item]:
        for number, name in enumerate(annotations.photos.names):
            known: dict[str, JSON] = {"split": annotations.splits[number]}
            if annotations.categories[number]:
                category = names[annotations.categories[number] - 1]
                known["category"], known["clothes_type"] = category, annotations.category_types[category]
            if annotations.labels and number in annotations.labels:
                known["attributes"] = attributes = annotations.labels.of(number)
                known.update(_groups(attributes, annotations.attribute_types))
            if annotations.landmarks and (landmarks := annotations.landmarks.of(number)):
                known["landmarks"] = landmarks
            yield Item(
                id=name,
                photo=photo_folder + name.removeprefix("img"),
                root=str(folder),
                product=name.rpartition("/")[0].removeprefix("img/") or None,
                box=annotations.boxes.of(number) if annotations.boxes else None,
                attributes=known,
            )

    return Catalogue(
        kind="attributes",
        source=str(root),
        items=items,
        count=len(annotations.photos),
        notes=tuple(problems.notes),
        photos=photo_folder,
        benchmark=Benchmark(
            name="attributes",
            category_types=annotations.category_types,
            attribute_types=annotations.attribute_types,
            published=published,
        ),
    )


def _groups(attributes: Sequence[JSON], types: dict[str, str]) -> dict[str, JSON]:
    """Return fine attributes by type, such as `sleeve`; each of the six types has one."""
    if len(types) != len(FINE_TYPES):
        return {}
    answers: dict[str, list[JSON]] = {}
    for attribute in attributes:
        answers.setdefault(types[str(attribute)], []).append(attribute)
    return {kind: given[0] for kind, given in answers.items() if len(given) == 1}


def _read_partition(file: AnnotationFile, annotations: Annotations) -> None:
    for line, (name, split) in file.fields(2):
        if split not in SPLITS:
            file.problems.line(file.path, line, split, expected=f"one of {', '.join(SPLITS)}")
        elif annotations.photos.add_new(file, line, name) is not None:
            annotations.splits.append(split)
    if not annotations.photos and not file.problems.found:
        file.problems.add(CatalogueError(f"{file.path}: there are no photos in it"))


def read_category_names(path: Path, problems: Problems) -> dict[str, str]:
    """Read the names of the categories, in order, and their types of clothing."""
    file = AnnotationFile(path, problems, "category_name category_type", is_row=lambda text: text[-1].isdigit())
    types: dict[str, str] = {}
    for line, text in file.rows():
        name, code = _named(text)
        if code not in CLOTHES_TYPES or not name or name in types:
            problems.line(path, line, text, expected="a category that has not come before, and its type from 1 to 3")
        else:
            types[name] = CLOTHES_TYPES[code]
    if len(types) > 255:
        problems.add(CatalogueError(f"{path}: expected at most 255 categories, got {len(types):,}"))
    return types


def read_attribute_names(path: Path, problems: Problems) -> dict[str, str]:
    """Read the names of the attributes, in order, and their types; names may contain spaces and hyphens."""
    file = AnnotationFile(path, problems, "attribute_name attribute_type", is_row=lambda text: text[-1].isdigit())
    rows = [(line, text, *_named(text)) for line, text in file.rows()]
    is_fine = len(rows) == len(FINE_TYPES)
    types: dict[str, str] = {}
    for line, text, name, code in rows:
        if not (code in COARSE_TYPES or (is_fine and code == "6")) or not name or name in types:
            expected = f"an attribute that has not come before, and its type from 1 to {6 if is_fine else 5}"
            problems.line(path, line, text, expected=expected)
        else:
            types[name] = FINE_TYPES[len(types)] if is_fine else COARSE_TYPES[code]
    return types


def _named(text: str) -> tuple[str, str]:
    """Split a row into a name, which may contain spaces, and its code."""
    *words, code = text.split()
    return " ".join(words), code


def read_category(file: AnnotationFile, line: int, label: str, *, count: int) -> int:
    """Parse the number of a category, from 1; 0 for a malformed one."""
    number = counted_number(label)
    if number is None or not 1 <= number <= count:
        file.problems.line(file.path, line, label, expected=f"the number of a category from 1 to {count}")
        return 0
    return number


def _read_categories(file: AnnotationFile, annotations: Annotations) -> None:
    annotations.categories = bytearray(len(annotations.photos))
    matcher = RowMatcher(file, annotations.photos)
    for line, (name, label) in file.fields(2):
        category = read_category(file, line, label, count=len(annotations.category_types))
        number = matcher.number(name, line) if category else None
        if number is not None:
            annotations.categories[number] = category
    matcher.note(what="category")


def _read_photos(files: DataSetFiles, annotations: Annotations, problems: Problems, *, boxes_fit: bool) -> None:
    if path := files.want("list_bbox.txt", what="boxes", problems=problems):
        boxes, _ = read_boxes(AnnotationFile(path, problems, "image_name x_1 y_1 x_2 y_2"), annotations.photos)
        if boxes_fit:
            annotations.boxes = boxes
        else:
            problems.notes.append("no boxes: they are those of img/, and the photos here are img_highres/")
    if path := files.want("list_landmarks.txt", what="landmarks", problems=problems):
        columns = "image_name clothes_type landmark_visibility_1 landmark_location_x_1 ..."
        annotations.landmarks, _ = read_landmarks(AnnotationFile(path, problems, columns), annotations.photos, first=2)


def _read_labels(files: DataSetFiles, annotations: Annotations, problems: Problems) -> None:
    names = files.want("list_attr_cloth.txt", what="attributes", problems=problems)
    labels = files.want("list_attr_img.txt", what="attributes of photos", problems=problems) if names else None
    if names is None or labels is None:
        return
    annotations.attribute_types = read_attribute_names(names, problems)
    annotations.labels = Positives(list(annotations.attribute_types), count=len(annotations.photos))
    file = AnnotationFile(labels, problems, "image_name attribute_labels", is_row=lambda text: text[-1].isdigit())
    matcher = RowMatcher(file, annotations.photos)
    read_positives(file, annotations.labels, row_of=matcher.number)
    matcher.note(what="attributes")
