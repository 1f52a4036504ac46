"""Recognition of folder layouts: a published benchmark, a tree of splits and classes, or a folder of photos."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import Literal

from lookalike.catalogue.exclusions import DEFAULT_EXCLUSIONS, Exclusions
from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.splits import SPLITS
from lookalike.errors import CatalogueError
from lookalike.storage.files import open_regular

Layout = Literal[
    "inshop",
    "consumer2shop",
    "attributes",
    "fine",
    "deepfashion2",
    "street2shop",
    "sop",
    "cub",
    "fashioniq",
    "fashion200k",
    "imagefolder",
]

PARTITION = "list_eval_partition.txt"
ATTRIBUTE_FOLDERS = ("Anno", "Anno_coarse", "Eval", ".")

MARKS: Mapping[Layout, tuple[Sequence[str], Sequence[str]]] = {
    "inshop": (
        ("Anno", "Eval", "."),
        (
            "list_bbox_inshop.txt",
            "list_item_inshop.txt",
            "list_landmarks_inshop.txt",
            "list_description_inshop.json",
        ),
    ),
    "consumer2shop": (
        ("Anno", "Eval", "."),
        (
            "list_bbox_consumer2shop.txt",
            "list_item_consumer2shop.txt",
            "list_items_consumer2shop.txt",
            "list_landmarks_consumer2shop.txt",
        ),
    ),
    "fine": ((".",), ("train_cate.txt", "train_attr.txt")),
    "attributes": (ATTRIBUTE_FOLDERS, ("list_category_img.txt", "list_category_cloth.txt", "list_attr_img.txt")),
    "street2shop": (
        ("meta/json", "json", "meta", "."),
        ("retrieval_bags.json", "retrieval_dresses.json", "retrieval_tops.json", "retrieval_skirts.json"),
    ),
    "sop": ((".",), ("Ebay_train.txt", "Ebay_test.txt")),
    "cub": ((".",), ("image_class_labels.txt",)),
    "fashioniq": (("image_splits", "."), ("split.dress.val.json", "split.shirt.val.json", "split.toptee.val.json")),
    "fashion200k": (
        ("labels", "."),
        ("dress_test_detect_all.txt", "dress_train_detect_all.txt", "top_test_detect_all.txt"),
    ),
}
"""Folders and files that identify a layout: the files occur in no other layout."""

READERS: Mapping[Layout, str] = {
    "inshop": "lookalike.catalogue.deepfashion.inshop:open_inshop",
    "consumer2shop": "lookalike.catalogue.deepfashion.consumer2shop:open_consumer2shop",
    "fine": "lookalike.catalogue.deepfashion.fine:open_fine",
    "deepfashion2": "lookalike.catalogue.benchmarks.deepfashion2:open_deepfashion2",
    "street2shop": "lookalike.catalogue.benchmarks.street2shop:open_street2shop",
    "sop": "lookalike.catalogue.benchmarks.online_products:open_online_products",
    "cub": "lookalike.catalogue.benchmarks.birds:open_birds",
    "fashioniq": "lookalike.catalogue.benchmarks.fashioniq:open_fashioniq",
    "fashion200k": "lookalike.catalogue.benchmarks.fashion200k:open_fashion200k",
}
"""Function that opens a layout by its folder."""

DEEPFASHION: tuple[Layout, ...] = ("inshop", "consumer2shop", "fine")
"""Layouts among these of which there are photos in two sizes."""

COLUMNS: Mapping[int, Layout] = {2: "attributes", 3: "inshop", 4: "consumer2shop"}
"""Benchmark by the number of columns of its partition file."""


def recognise(folder: Path, *, exclusions: Exclusions = DEFAULT_EXCLUSIONS) -> Layout | None:
    """Recognise the layout of a folder; None is a folder of photos.

    Args:
        folder: An absolute path.
        exclusions: Sub-folders to ignore.

    Raises:
        CatalogueError: A folder that may hold the files of a benchmark cannot be read.
    """
    for place in ("Anno", "Eval", "Anno_coarse", "Anno_fine"):
        _look_into(folder / place)
    for layout, (places, names) in MARKS.items():
        if any(_is_file(folder / place / name) for place in places for name in names):
            return layout
    for place in ("Eval", "Anno", "."):
        layout_of_partition = _layout_of_partition(folder / place / PARTITION)
        if layout_of_partition:
            return layout_of_partition
    if recognise_fine(folder):
        return "attributes"
    if any(
        _is_dir(folder / split / "annos") and _is_dir(folder / split / "image") for split in ("train", "validation")
    ):
        return "deepfashion2"
    splits = _sub_folders(folder, exclusions, broken_links=True) or []
    split_names = {path.name for path in splits}
    # A split that cannot be listed still counts as one: the photos of the others must keep their split.
    if "train" in split_names and split_names <= set(SPLITS) and not any(_has_no_folders(path) for path in splits):
        return "imagefolder"
    return None


def _has_no_folders(split: Path) -> bool:
    """Whether a folder can be listed and has no sub-folders."""
    return _sub_folders(split, broken_links=True) == []


def recognise_fine(folder: Path) -> bool:
    """Whether a folder has the fine annotations, in `Anno_fine`."""
    places, names = MARKS["fine"]
    return any(_is_file(folder / "Anno_fine" / place / name) for place in places for name in names)


def open_recognised(
    folder: Path, *, exclusions: Exclusions = DEFAULT_EXCLUSIONS, photos: str | None = None
) -> Catalogue | None:
    """Open a folder in its layout; None for a folder of photos.

    A folder that contains only the folder of one benchmark is opened as that benchmark.

    Args:
        folder: An absolute path.
        exclusions: Paths left out of a tree of splits and classes.
        photos: Folder of DeepFashion's photos, `img` or `img_highres`; None takes the first that is there.

    Raises:
        CatalogueError: The benchmark cannot be read, or the folder contains several.
    """
    layout = recognise(folder, exclusions=exclusions)
    if layout is not None:
        return _open(folder, layout, exclusions, photos)
    children = _sub_folders(folder, exclusions) or []
    found, closed = [], []
    for child in children:
        try:
            if recognise(child) not in (None, "imagefolder"):
                found.append(child)
        except CatalogueError as error:
            closed.append(error)
    if found and len(found) + len(closed) == len(children):
        if closed:
            raise closed[0]
        if len(found) > 1:
            names = ", ".join(repr(child.name) for child in found)
            raise CatalogueError(f"{folder}: there are several benchmarks in it; name one of them: {names}")
        return open_recognised(found[0], photos=photos)
    return None


def _open(folder: Path, layout: Layout, exclusions: Exclusions, photos: str | None) -> Catalogue:
    if layout in READERS:
        module, _, name = READERS[layout].partition(":")
        chosen = {"photos": photos} if layout in DEEPFASHION else {}
        opened: Catalogue = getattr(import_module(module), name)(folder, **chosen)
        return opened
    if layout == "imagefolder":
        from lookalike.catalogue.readers.imagefolder import open_imagefolder

        return open_imagefolder(folder, exclusions=exclusions)
    places, names = MARKS["attributes"]
    if recognise_fine(folder) and not any(_is_file(folder / place / name) for place in places for name in names):
        return _open(folder / "Anno_fine", "fine", exclusions, photos)
    from lookalike.catalogue.deepfashion.attributes import open_attributes

    return open_attributes(folder, folders=ATTRIBUTE_FOLDERS, photos=photos)


def _look_into(place: Path) -> None:
    """Check that a path does not exist or can be read.

    Raises:
        CatalogueError: It exists and cannot be read.
    """
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise CatalogueError(f"{place.parent}: {(error.strerror or str(error)).lower()}") from None
    try:
        if stat.S_ISDIR(place.stat().st_mode):
            (place / PARTITION).lstat()
    except FileNotFoundError:
        if place.is_symlink() and not os.path.exists(place):  # noqa: PTH110 - which is never an error of its own
            raise CatalogueError(f"{place}: the target of the link does not exist") from None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a permanent fault, so there are no files that are only out of reach
            return
        raise CatalogueError(f"{place}: {(error.strerror or str(error)).lower()}") from None


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file is an error where a folder cannot be looked into


def _is_dir(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - as above


def _layout_of_partition(path: Path) -> Layout | None:
    try:
        with BufferedReader(open_regular(path)) as file:
            _, names = file.readline(1000), file.readline(1000)
    except OSError:
        return None
    return COLUMNS.get(len(names.split()))


def _sub_folders(
    folder: Path, exclusions: Exclusions = DEFAULT_EXCLUSIONS, *, broken_links: bool = False
) -> list[Path] | None:
    """Sub-folders of a folder; None when it cannot be listed.

    Args:
        folder: Its path.
        exclusions: Sub-folders to ignore.
        broken_links: Whether to count broken links as folders that are out of reach, except names with a suffix, such
            as `1.jpg`, which are links to photos.
    """
    try:
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not exclusions.excludes_entry(entry.name)]
    except OSError:
        return None
    return sorted(folder / entry.name for entry in entries if _is_folder(entry, broken_links=broken_links))


def _is_folder(entry: os.DirEntry[str], *, broken_links: bool) -> bool:
    try:
        if entry.is_dir():
            return True
        out_of_reach = entry.is_symlink() and not Path(entry.path).exists()
    except OSError as error:
        out_of_reach = error.errno != errno.ELOOP  # a link to itself is not a folder
    return broken_links and out_of_reach and not Path(entry.name).suffix
