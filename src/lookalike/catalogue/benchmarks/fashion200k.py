"""Fashion200k: photos of five categories with short descriptions, and queries that replace a word of one.

A query is a test photo and the words `replace A with B`, where A is the first word of its description that the
description of the target lacks, and B the other way round. Every test photo with the target's description is a right
answer, the query photo is left out, and papers print the hit rates at 1, 10 and 50 as Recall@K.

Source: README of github.com/xthan/fashion-200k (labels: photo, score of the detection, description); Vo et al. 2019,
Composing Text and Image for Image Retrieval (TIRG), section 4.2 and the file `test_queries.txt` of its code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lookalike.catalogue.benchmark import Benchmark, Modification, WordSides
from lookalike.catalogue.benchmarks.listed_photos import PLAIN_PATH, ListedPhotos, is_plain_path
from lookalike.catalogue.deepfashion.annotation_file import AnnotationFile, DataSetFiles, Problems
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError

CATEGORIES: Final = ("dress", "jacket", "pants", "skirt", "top")
SPLITS: Final = ("train", "test")
PUBLISHED: Final = {"train photos": 172049, "test photos": 29789, "test queries": 33480}
WORDS: Final = WordSides("test", depths=(1, 10, 50), same="description", itself=False)
_COLUMNS: Final = "photo, score and description, separated by tabs"


def open_fashion200k(root: Path) -> Catalogue:
    """Open Fashion200k, after checking the lists that are there.

    An item's id is its photo's path, such as `women/dresses/casual_and_day_dresses/51727804/51727804_0.jpeg`, and its
    product the folder of the photo. Attributes: `category`, `split` (`train` or `test`) and `description`.

    Args:
        root: An absolute path.

    Raises:
        CatalogueError: There are no lists, or one cannot be read.
        AnnotationError: A line of a list is malformed.
        AnnotationErrors: Several lines or files are.
    """
    problems = Problems(str(root))
    files = DataSetFiles(root, ("labels", "."))
    photos = ListedPhotos(problems)
    for category in CATEGORIES:
        for split in SPLITS:
            path = files.want(f"{category}_{split}_detect_all.txt", what=f"{split} {category}", problems=problems)
            if path is not None:
                _read_labels(path, category, split, photos, root=root)
    if not photos.rows and not problems.found:
        problems.add(CatalogueError(f"{root}: there are no photos in dress_test_detect_all.txt and its like"))
    path = files.want("test_queries.txt", what="test queries", problems=problems)
    queries = _read_queries(path, photos) if path is not None else []
    problems.raise_any()
    return Catalogue(
        kind="fashion200k",
        source=str(root),
        items=photos.items(),
        count=len(photos.rows),
        notes=tuple(problems.notes),
        benchmark=Benchmark(name="fashion200k", published=PUBLISHED, modifications=tuple(queries), words=WORDS),
    )


def _read_labels(path: Path, category: str, split: str, photos: ListedPhotos, *, root: Path) -> None:
    """Read a list of photos; a photo that comes again is noted."""
    repeated = 0
    for line, text in AnnotationFile(path, photos.problems, counted=False, lenient=True).rows():
        name, *others = text.split("\t")
        if len(others) != 2 or not is_plain_path(name):
            expected = _COLUMNS if len(others) != 2 else PLAIN_PATH
            photos.problems.line(path, line, text, expected=expected)
        elif name in photos.rows:
            repeated += 1
        else:
            known = {"category": category, "split": split, "description": " ".join(others[1].split())}
            product = name.split("/")[-2] if "/" in name else None
            photos.add(path, line, name, root=root, product=product, attributes={**known})
    if repeated:
        photos.problems.notes.append(f"{repeated:,} photos of {path.name} have come before; the first line counts")


def _read_queries(path: Path, photos: ListedPhotos) -> list[Modification]:
    """Read pairs of a query photo and its target; those of photos that are not in the test split are noted."""
    queries: list[Modification] = []
    others = 0
    for _, (source, target) in AnnotationFile(path, photos.problems, counted=False).fields(2):
        both = [photos.rows.get(name) for name in (source, target)]
        texts = [
            str(item.attributes.get("description", "")) for item in both if item and item.attributes["split"] == "test"
        ]
        if len(texts) != 2 or not all(texts):
            others += 1
            continue
        category = str(photos.rows[source].attributes["category"])
        queries.append(Modification(source, target, (replacement(*texts),), category, "test"))
    if others:
        photos.problems.notes.append(f"{others:,} test queries are of photos that are not in the test split")
    return queries


def replacement(source: str, target: str) -> str:
    """Words that turn one description into another: the first word of each that the other lacks, else its last one."""
    before, after = source.split(), target.split()
    taken = next((word for word in before if word not in after), before[-1])
    given = next((word for word in after if word not in before), after[-1])
    return f"replace {taken} with {given}"
